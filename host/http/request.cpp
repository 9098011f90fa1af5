#include "http/request.hpp"

#include <cstring>
#include <new>

#include "http/characters.hpp"

namespace sonicorn::http {
char* ByteBuffer::reserve(std::size_t more) {
  if (capacity_ - size_ < more) {
    std::size_t capacity = capacity_ == 0 ? 512 : capacity_ * 2;
    if (capacity < size_ + more) capacity = size_ + more;
    char* grown = static_cast<char*>(std::realloc(data_.get(), capacity));
    if (grown == nullptr) throw std::bad_alloc();
    (void)data_.release();
    data_.reset(grown);
    capacity_ = capacity;
  }
  return data_.get() + size_;
}

void ByteBuffer::append(std::string_view bytes) {
  if (bytes.empty()) return;
  std::memcpy(reserve(bytes.size()), bytes.data(), bytes.size());
  size_ += bytes.size();
}

void ByteBuffer::erase_front(std::size_t count) {
  size_ -= count;
  if (size_ > 0) std::memmove(data_.get(), data_.get() + count, size_);
}

void ByteBuffer::trim(std::size_t keep) {
  if (capacity_ <= keep) return;
  data_.reset();
  size_ = 0;
  capacity_ = 0;
}

void Request::own_head() {
  const char* const from = head.data();
  if (from == head_storage.data()) return;
  head_storage.assign(head);
  const auto moved = [&](const char* pointer) { return head_storage.data() + (pointer - from); };
  const auto rebase = [&](std::string_view& view) {
    if (view.data() >= from && view.data() <= from + head.size()) {
      view = {moved(view.data()), view.size()};
    }
  };
  rebase(method);
  rebase(target);
  rebase(path);
  rebase(query);
  for (sonicorn_field& each : fields) {
    each.name.data = moved(each.name.data);
    each.value.data = moved(each.value.data);
  }
  head = head_storage;
}

void Request::own() {
  own_head();
  if (body.empty() || body.data() == body_storage.data()) return;
  body_storage.clear();
  body_storage.append(body);
  body = body_storage.view();
}

void Request::reset() {
  head = method = target = path = query = body = {};
  fields.clear();
  version = 11;
  keep_alive = true;
  head_only = chunked = expects_continue = server_wide = false;
  content_length.reset();
  body_storage.clear();
}

std::string_view Request::field(std::string_view lower_name) const {
  for (const sonicorn_field& each : fields) {
    if (is_named({each.name.data, each.name.size}, lower_name)) {
      return {each.value.data, each.value.size};
    }
  }
  return {};
}

}  // namespace sonicorn::http
