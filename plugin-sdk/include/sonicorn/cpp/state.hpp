// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sonicorn/state.h>

#include <memory>
#include <sonicorn/cpp/text.hpp>
#include <string>
#include <string_view>

namespace sonicorn {

// What save_state hands to the next generation.
struct State {
  std::string schema;  // the id of its format, "counter/1"
  std::string bytes;   // anything
};

// What the previous generation saved; the argument of load_state. A view, valid until the call
// returns.
class SavedState {
 public:
  explicit SavedState(const sonicorn_blob* blob) : blob_(blob) {}
  std::string_view schema() const { return detail::view_of(blob_->schema); }
  std::string_view bytes() const { return detail::view_of(blob_->bytes); }

 private:
  const sonicorn_blob* blob_;
};

namespace detail {

// The server copies the blob and then has `state` deleted.
inline void hand_over(std::unique_ptr<State> state, sonicorn_blob* out) {
  out->schema = string_of(state->schema);
  out->bytes = string_of(state->bytes);
  out->release = [](void* argument) { delete static_cast<State*>(argument); };
  out->release_argument = state.release();
}

}  // namespace detail

}  // namespace sonicorn
