#pragma once

#include <string>
#include <vector>

namespace sonicorn::cli {

// Columns of text for a person, as wide as what is in them.
class Table {
 public:
  explicit Table(std::vector<std::string> heads) : rows_{std::move(heads)} {}

  // REQUIRES: as many cells as there are heads.
  void add(std::vector<std::string> cells) { rows_.push_back(std::move(cells)); }

  // On standard output.
  void print() const;

 private:
  std::vector<std::vector<std::string>> rows_;
};

}  // namespace sonicorn::cli
