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
    if (each.value.data == trace_parent_storage.data()) continue;
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

void Request::set_trace_parent(const TraceParents::Value& value) {
  std::erase_if(fields, [](const sonicorn_field& each) {
    const std::string_view name(each.name.data, each.name.size);
    return is_named(name, kTraceParent) || is_named(name, "tracestate");
  });
  trace_parent_storage = value;
  fields.push_back({{kTraceParent.data(), kTraceParent.size()},
                    {trace_parent_storage.data(), trace_parent_storage.size()}});
}

std::unique_ptr<Request> Request::clone() const {
  auto copy = std::make_unique<Request>();
  copy->head_storage.assign(head);
  copy->path_storage = path_storage;
  const char* const from = head.data();
  const auto moved = [&](std::string_view view) -> std::string_view {
    if (view.data() >= from && view.data() <= from + head.size()) {
      return {copy->head_storage.data() + (view.data() - from), view.size()};
    }
    const char* const stored = path_storage.data();
    if (view.data() >= stored && view.data() <= stored + path_storage.size()) {
      return {copy->path_storage.data() + (view.data() - stored), view.size()};
    }
    if (view.data() == trace_parent_storage.data()) {
      copy->trace_parent_storage = trace_parent_storage;
      return {copy->trace_parent_storage.data(), view.size()};
    }
    return view;
  };
  copy->head = copy->head_storage;
  copy->method = moved(method);
  copy->target = moved(target);
  copy->path = moved(path);
  copy->query = moved(query);
  copy->fields.reserve(fields.size());
  for (const sonicorn_field& each : fields) {
    const std::string_view name = moved({each.name.data, each.name.size});
    const std::string_view value = moved({each.value.data, each.value.size});
    copy->fields.push_back({{name.data(), name.size()}, {value.data(), value.size()}});
  }
  copy->body_storage.append(body);
  copy->body = copy->body_storage.view();
  copy->version = version;
  copy->head_only = head_only;
  return copy;
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
