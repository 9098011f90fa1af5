#include "http/output.hpp"

#include <algorithm>
#include <utility>

namespace sonicorn::http {

Output::Output(Output&& other) noexcept
    : own_(std::move(other.own_)),
      own_sent_(std::exchange(other.own_sent_, 0)),
      borrowed_(std::move(other.borrowed_)),
      borrowed_left_(std::exchange(other.borrowed_left_, 0)) {
  other.borrowed_.clear();
}

Output& Output::operator=(Output&& other) noexcept {
  std::swap(own_, other.own_);
  std::swap(own_sent_, other.own_sent_);
  std::swap(borrowed_, other.borrowed_);
  std::swap(borrowed_left_, other.borrowed_left_);
  return *this;
}

void Output::borrow(std::string_view bytes, Release release) {
  borrowed_.push_back({own_.size(), bytes, release});
  borrowed_left_ += bytes.size();
}

bool Output::borrows_unreleased() const {
  return std::any_of(borrowed_.begin(), borrowed_.end(),
                     [](const Borrowed& each) { return each.release.function == nullptr; });
}

void Output::copy_fleeting() {
  Output kept;
  std::size_t at = own_sent_;
  for (Borrowed& each : borrowed_) {
    kept.append(own_.view().substr(at, each.position - at));
    at = each.position;
    if (each.release.function != nullptr) {
      kept.borrow(each.bytes, std::exchange(each.release, {}));
    } else {
      kept.append(each.bytes);
    }
  }
  kept.append(own_.view().substr(at));
  borrowed_.clear();
  clear();
  *this = std::move(kept);
}

std::size_t Output::gather(std::span<iovec> vectors) const {
  std::size_t count = 0;
  const auto add = [&](std::string_view bytes) {
    if (bytes.empty()) return true;
    if (count == vectors.size()) return false;
    vectors[count++] = {const_cast<char*>(bytes.data()), bytes.size()};
    return true;
  };
  std::size_t at = own_sent_;
  for (const Borrowed& each : borrowed_) {
    if (!add(own_.view().substr(at, each.position - at)) || !add(each.bytes)) return count;
    at = each.position;
  }
  add(own_.view().substr(at));
  return count;
}

void Output::consume(std::size_t count) {
  if (borrowed_.empty()) {
    own_sent_ += count;
    if (own_sent_ == own_.size()) clear();
    return;
  }
  std::size_t done = 0;
  for (Borrowed& each : borrowed_) {
    const std::size_t own = std::min(count, each.position - own_sent_);
    own_sent_ += own;
    count -= own;
    if (own_sent_ < each.position) break;
    const std::size_t taken = std::min(count, each.bytes.size());
    each.bytes.remove_prefix(taken);
    borrowed_left_ -= taken;
    count -= taken;
    if (!each.bytes.empty()) break;
    each.release();
    ++done;
  }
  borrowed_.erase(borrowed_.begin(), borrowed_.begin() + static_cast<std::ptrdiff_t>(done));
  own_sent_ += count;
  if (own_sent_ == own_.size() && borrowed_.empty()) clear();
}

void Output::clear() {
  for (const Borrowed& each : borrowed_) each.release();
  borrowed_.clear();
  borrowed_left_ = 0;
  own_.clear();
  own_sent_ = 0;
}

}  // namespace sonicorn::http
