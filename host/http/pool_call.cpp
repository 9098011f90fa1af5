#include "http/pool_call.hpp"

#include <new>

#include "core/log.hpp"
#include "http/passage_run.hpp"

namespace sonicorn::http {

void PoolCall::run(app::CallContext& context) try {
  if (owed) return passage->finish(context);
  if (given_up.load(std::memory_order_relaxed) && passage == nullptr) return;
  late = Passage::now_ns() > begin_by_ns;
  if (late) return;
  context.deadline_ns = deadline_ns;
  if (passage != nullptr) {
    result = passage->run(context, *request, remote, response);
  } else {
    const sonicorn_request as_abi = abi_request(*request, *app, remote);
    const app::RunningCall running(context, *generation, app::Attribute::on_request);
    result = generation->on_request(context, as_abi, response);
  }
  if (result < 0) error = context.take_error();
} catch (const std::bad_alloc&) {
  core::log::error("out of memory: a request failed");
  result = SONICORN_ERROR;
}

void PoolCall::clear() {
  response.drop();
  response.reset();
  error.clear();
  passage.reset();
  connection = nullptr;
  generation = nullptr;
  app = nullptr;
  owed = late = false;
  given_up.store(false, std::memory_order_relaxed);
}

}  // namespace sonicorn::http
