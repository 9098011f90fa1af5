#include "http/app_response.hpp"

#include <new>

namespace sonicorn::http {

AppResponse::AppResponse()
    : sonicorn_response{}, arena_(first_.data(), first_.size(), std::pmr::new_delete_resource()) {
  size = sizeof(sonicorn_response);
  status = 200;
  allocate = &AppResponse::allocate_for;
}

Release AppResponse::take_release() {
  const Release taken{release, release_argument};
  release = nullptr;
  return taken;
}

void* AppResponse::allocate_for(sonicorn_response* response, uint64_t bytes) {
  auto& self = *static_cast<AppResponse*>(response);
  try {
    self.arena_used_ = true;
    return self.arena_.allocate(bytes, 16);
  } catch (const std::bad_alloc&) {
    return nullptr;
  }
}

}  // namespace sonicorn::http
