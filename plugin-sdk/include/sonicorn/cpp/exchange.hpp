// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sonicorn/attributes.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <sonicorn/cpp/response.hpp>
#include <sonicorn/cpp/text.hpp>
#include <utility>

namespace sonicorn {

namespace detail {

// One object of the app that the server keeps as a pointer between two calls.
class Attachment {
 public:
  virtual ~Attachment() = default;
};

template <class T>
class AttachmentOf : public Attachment {
 public:
  template <class... Args>
  explicit AttachmentOf(Args&&... args) : value(std::forward<Args>(args)...) {}
  T value;
};

}  // namespace detail

// What one request's pre_request and post_request share. Valid until the call returns; one thread.
class Exchange {
 public:
  Exchange() = default;
  explicit Exchange(std::unique_ptr<detail::Attachment> kept) : kept_(std::move(kept)) {}

  // pre_request: one more header field on the final answer, whoever gives it.
  void header(Text name, Text value) { fields_.header(name, value); }

  // pre_request: makes a T that post_request finds with get<T>(); it dies after post_request. A
  // second one replaces the first.
  template <class T, class... Args>
  T& emplace(Args&&... args) {
    auto made = std::make_unique<detail::AttachmentOf<T>>(std::forward<Args>(args)...);
    T& value = made->value;
    kept_ = std::move(made);
    return value;
  }

  // What emplace<T> made, or nullptr.
  template <class T>
  T* get() const {
    auto* found = dynamic_cast<detail::AttachmentOf<T>*>(kept_.get());
    return found == nullptr ? nullptr : &found->value;
  }

  // For the glue between the C functions and the members.
  Response& fields() { return fields_; }
  std::unique_ptr<detail::Attachment> release() { return std::move(kept_); }

 private:
  Response fields_;
  std::unique_ptr<detail::Attachment> kept_;
};

// How a request ended; the argument of post_request. A view, valid until the call returns.
class Outcome {
 public:
  enum class Result : std::uint32_t {
    sent = SONICORN_OUTCOME_SENT,
    disconnected = SONICORN_OUTCOME_DISCONNECTED,
    timed_out = SONICORN_OUTCOME_TIMED_OUT,
    failed = SONICORN_OUTCOME_FAILED,
  };

  explicit Outcome(const sonicorn_outcome* outcome) : outcome_(outcome) {}

  Result result() const { return static_cast<Result>(outcome_->result); }

  // The status that was sent; 0 when none was.
  unsigned status() const { return outcome_->status; }

  // Bytes.
  std::uint64_t body_size() const { return outcome_->body_size; }

  // From the last byte of the request to the end of the response.
  std::chrono::nanoseconds duration() const {
    return std::chrono::nanoseconds(static_cast<std::int64_t>(outcome_->duration_ns));
  }

  const sonicorn_outcome* c() const { return outcome_; }

 private:
  const sonicorn_outcome* outcome_;
};

}  // namespace sonicorn
