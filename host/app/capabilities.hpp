#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace sonicorn::app {

// The capabilities that one target delivers to its apps, "NAME/REV", and those of them that the
// operator withholds. A value; reading is thread-safe.
class Offer {
 public:
  // Nothing is delivered.
  Offer() = default;

  // What `sonicorn serve` delivers, and what one request without a socket (`sonicorn call`) can
  // keep: that one is never reloaded, and has no other app to talk to.
  static Offer of_server();
  static Offer of_call();

  // Withholds "NAME", in all its revisions, or "NAME/REV". False when no capability that this
  // target delivers has that name; then nothing changes.
  bool withhold(std::string_view name);

  // Whether an app that asks for `id` gets it.
  bool has(std::string_view id) const;
  bool is_withheld(std::string_view id) const;

  // What is delivered; views of literals.
  const std::vector<std::string_view>& ids() const { return ids_; }
  const std::vector<std::string_view>& withheld() const { return withheld_; }

 private:
  explicit Offer(std::span<const std::string_view> ids) : ids_(ids.begin(), ids.end()) {}

  std::vector<std::string_view> ids_;
  std::vector<std::string_view> withheld_;
};

// Whether `id` reads "name/REV" or "com.example.name/REV".
bool well_formed_capability(std::string_view id);

}  // namespace sonicorn::app
