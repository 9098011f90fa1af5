#pragma once

#include <sonicorn/request.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "http/trace_parent.hpp"

namespace sonicorn::http {

// Bytes that grow, without writing zeros first. Not thread-safe.
class ByteBuffer {
 public:
  ByteBuffer() = default;
  ByteBuffer(ByteBuffer&& other) noexcept { swap(other); }
  ByteBuffer& operator=(ByteBuffer&& other) noexcept {
    swap(other);
    return *this;
  }
  void swap(ByteBuffer& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    std::swap(capacity_, other.capacity_);
  }

  const char* data() const { return data_.get(); }
  std::size_t size() const { return size_; }
  std::size_t capacity() const { return capacity_; }
  bool empty() const { return size_ == 0; }
  std::string_view view() const { return {data_.get(), size_}; }
  void clear() { size_ = 0; }

  // Room for `more` bytes after the end; throws std::bad_alloc. commit() makes them part of it.
  char* reserve(std::size_t more);
  void commit(std::size_t count) { size_ += count; }
  void append(std::string_view bytes);
  void erase_front(std::size_t count);

  // Gives the memory back when it is more than `keep` bytes.
  void trim(std::size_t keep);

 private:
  struct Free {
    void operator()(char* memory) const { std::free(memory); }
  };
  std::unique_ptr<char, Free> data_;
  std::size_t size_ = 0;
  std::size_t capacity_ = 0;
};

// One request. Its views point into the connection's input until own_head() copies what they point
// to. Reused from request to request, so that its vectors and buffers keep their memory.
struct Request {
  std::string_view head;  // all of it, with the empty line
  std::string_view method;
  std::string_view target;  // as received
  std::string_view path;    // decoded, without dot segments; empty for the target "*"
  std::string_view query;
  std::string_view body;
  std::vector<sonicorn_field> fields;
  unsigned version = 11;
  bool keep_alive = true;
  bool head_only = false;  // HEAD
  bool chunked = false;
  bool expects_continue = false;
  bool server_wide = false;  // OPTIONS *
  std::optional<std::uint64_t> content_length;

  // Copies the head, so that it outlives the input it was parsed from; own() does so with the body
  // too.
  void own_head();
  void own();

  // Makes `value` the one traceparent field, without the tracestate of another; the request owns
  // its bytes.
  void set_trace_parent(const TraceParents::Value& value);

  // A copy that owns all of its bytes.
  std::unique_ptr<Request> clone() const;

  // Ready for the next request, with the memory of this one.
  void reset();

  // Whether `bytes` are part of the body that this request owns.
  bool owns(std::string_view bytes) const {
    return bytes.data() >= body_storage.data() &&
           bytes.data() + bytes.size() <= body_storage.data() + body_storage.size();
  }

  // The value of the first field of this name in lower case, or an empty view.
  std::string_view field(std::string_view lower_name) const;

  ByteBuffer body_storage;
  std::string path_storage;  // when the path had to be decoded
  std::string head_storage;
  TraceParents::Value trace_parent_storage{};  // when it is not the client's
};

}  // namespace sonicorn::http
