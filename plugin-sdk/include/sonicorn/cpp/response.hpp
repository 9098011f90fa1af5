// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sonicorn/response.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <new>
#include <sonicorn/cpp/text.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace sonicorn {

// The answer to a request. A value: made, moved, returned; of one thread at a time.
//
// A literal is borrowed, a small body is copied into memory of the server, a larger one and the
// header fields are handed over without a copy. The server writes Date, Content-Length, Connection
// and Transfer-Encoding itself; a field that would break the message makes the answer a 500.
class Response {
 public:
  // No content type, no body.
  explicit Response(unsigned status = 200) : status_(status) {}

  // "text/plain; charset=utf-8".
  static Response text(Text body, unsigned status = 200) {
    return Response(status).content_type("text/plain; charset=utf-8").body(body);
  }

  // "text/html; charset=utf-8".
  static Response html(Text body, unsigned status = 200) {
    return Response(status).content_type("text/html; charset=utf-8").body(body);
  }

  // "application/json"; `body` is the JSON text.
  static Response json(Text body, unsigned status = 200) {
    return Response(status).content_type("application/json").body(body);
  }

  // Borrows `bytes`: they must stay valid until `shutdown` returns (statics, members of the app
  // that do not change), or be part of the request.
  static Response view(std::string_view bytes, Text type, unsigned status = 200) {
    Response response(status);
    response.content_type(type);
    response.body_ = bytes;
    return response;
  }

  static Response no_content() { return Response(204); }
  static Response bad_request(Text body) { return text(body, 400); }
  static Response not_found() { return text("Not found\n", 404); }

  // `allow` lists what the resource does take: "GET, HEAD".
  static Response method_not_allowed(Text allow) {
    return text("Method not allowed\n", 405).header("Allow", allow);
  }

  // `location` is a path or a URL; `status` one of 301, 302, 303, 307, 308.
  static Response redirect(Text location, unsigned status = 302) {
    return Response(status).header("Location", location);
  }

  Response& status(unsigned status) & {
    status_ = status;
    return *this;
  }
  Response&& status(unsigned status) && { return std::move(this->status(status)); }

  Response& content_type(Text type) & {
    if (type.kind() == Text::Kind::literal) {
      type_ = type.view();
    } else {
      type_ = kept().type = type.take();
    }
    return *this;
  }
  Response&& content_type(Text type) && { return std::move(content_type(type)); }

  Response& body(Text body) & {
    if (body.kind() == Text::Kind::literal) {
      body_ = body.view();
      owned_body_.clear();
    } else {
      body_ = {};
      owned_body_ = body.take();
    }
    return *this;
  }
  Response&& body(Text body) && { return std::move(this->body(body)); }

  // Adds a header field; the same name may be added again.
  Response& header(Text name, Text value) & {
    kept().fields.push_back({name.take(), value.take()});
    return *this;
  }
  Response&& header(Text name, Text value) && { return std::move(header(name, value)); }

  unsigned status() const { return status_; }
  std::string_view content_type() const { return type_; }
  std::string_view body() const { return owned_body_.empty() ? body_ : owned_body_; }

  // Fills in the C struct that the server gave and gives up what it holds; not to be used after it.
  // Throws std::bad_alloc.
  void hand_over(sonicorn_response* out) && {
    out->status = status_;
    if (kept_ != nullptr || owned_body_.size() > kCopied)
      return std::move(*this).hand_over_kept(out);
    out->content_type = detail::string_of(type_);
    if (owned_body_.empty()) {
      out->body = detail::string_of(body_);
      return;
    }
    void* memory = out->allocate(out, owned_body_.size());
    if (memory == nullptr) throw std::bad_alloc();
    std::memcpy(memory, owned_body_.data(), owned_body_.size());
    out->body = {static_cast<const char*>(memory), owned_body_.size()};
  }

 private:
  // Up to this many bytes a copy into the server's memory costs less than a call back to free them.
  static constexpr std::size_t kCopied = 4096;

  struct OwnedField {
    std::string name;
    std::string value;
  };

  // What the server borrows until it calls release.
  struct Kept {
    std::string type;
    std::string body;
    std::vector<OwnedField> fields;
    std::vector<sonicorn_field> views;
  };

  Kept& kept() {
    if (kept_ == nullptr) kept_ = std::make_unique<Kept>();
    return *kept_;
  }

  __attribute__((noinline)) void hand_over_kept(sonicorn_response* out) && {
    Kept& kept = this->kept();
    kept.views.reserve(kept.fields.size());
    for (const OwnedField& field : kept.fields) {
      kept.views.push_back({detail::string_of(field.name), detail::string_of(field.value)});
    }
    const bool owned = !owned_body_.empty();
    kept.body = std::move(owned_body_);
    out->content_type = detail::string_of(type_);
    out->fields = kept.views.data();
    out->field_count = kept.views.size();
    out->body = detail::string_of(owned ? std::string_view(kept.body) : body_);
    out->release = [](void* argument) { delete static_cast<Kept*>(argument); };
    out->release_argument = kept_.release();
  }

  std::uint32_t status_;
  std::string_view type_;  // a literal, or kept_->type
  std::string_view body_;
  std::string owned_body_;
  std::unique_ptr<Kept> kept_;
};

}  // namespace sonicorn
