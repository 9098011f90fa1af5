#pragma once

#include <sonicorn/response.h>

#include <array>
#include <cstddef>
#include <memory_resource>

#include "http/output.hpp"

namespace sonicorn::http {

// A response for an app to fill in, with memory that lives as long as it does. Reused from request
// to request; not movable, for apps see its address.
class AppResponse : public sonicorn_response {
 public:
  AppResponse();
  ~AppResponse() { drop(); }
  AppResponse(const AppResponse&) = delete;
  AppResponse& operator=(const AppResponse&) = delete;

  // As a fresh one: 200 and nothing else. REQUIRES: the release was taken, or there was none.
  void reset();

  // The app's release, which becomes the caller's to call.
  Release take_release();

  // Calls the app's release now: the answer will not be sent.
  void drop() { take_release()(); }

 private:
  static void* allocate_for(sonicorn_response* response, uint64_t bytes);

  alignas(16) std::array<std::byte, 4096> first_;
  std::pmr::monotonic_buffer_resource arena_;
  bool arena_used_ = false;
};

inline void AppResponse::reset() {
  static_cast<sonicorn_response&>(*this) = {
      .size = sizeof(sonicorn_response),
      .status = 200,
      .content_type = {},
      .fields = nullptr,
      .field_count = 0,
      .body = {},
      .release = nullptr,
      .release_argument = nullptr,
      .allocate = &AppResponse::allocate_for,
  };
  if (arena_used_) {
    arena_.release();
    arena_used_ = false;
  }
}

}  // namespace sonicorn::http
