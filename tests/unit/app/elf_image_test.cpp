#include "app/elf_image.hpp"

#include <doctest/doctest.h>

#include <algorithm>

#include "app/module_file.hpp"
#include "elf_builder.hpp"
#include "temporary_folder.hpp"

namespace sonicorn::app {
namespace {

std::string_view error_of(std::string_view bytes) {
  const auto image = ElfImage::parse(bytes);
  return image ? std::string_view("none") : image.error().id;
}

ElfBuilder everything() {
  ElfBuilder elf;
  elf.symbols = {{"sonicorn_start"}, {"weak", STT_OBJECT, STB_WEAK}};
  elf.needed = {"libone.so.1", "libtwo.so.2"};
  elf.needed_versions = {{"libone.so.1", "ONE_1"}, {"libtwo.so.2", "TWO_3", true}};
  elf.defined_versions = {"libthis.so", "THIS_1"};
  elf.soname = "libthis.so";
  elf.rpath = "/rpath";
  elf.runpath = "$ORIGIN/lib";
  elf.flags = DF_STATIC_TLS;
  elf.flags_1 = DF_1_NODELETE;
  elf.mark(R"({"name": "x"})").note("GNU", NT_GNU_BUILD_ID, "\x01\xab\xff");
  return elf;
}

TEST_CASE("what a shared object says to the loader is read without section headers") {
  const std::string bytes = everything().build();
  const auto image = ElfImage::parse(bytes);
  REQUIRE_MESSAGE(image.has_value(), image.error().message);
  CHECK(image->needed() == std::vector<std::string_view>{"libone.so.1", "libtwo.so.2"});
  REQUIRE(image->needed_versions().size() == 2);
  CHECK(image->needed_versions()[0].library == "libone.so.1");
  CHECK(image->needed_versions()[0].version == "ONE_1");
  CHECK_FALSE(image->needed_versions()[0].weak);
  CHECK(image->needed_versions()[1].version == "TWO_3");
  CHECK(image->needed_versions()[1].weak);
  CHECK(image->defined_versions() == std::vector<std::string_view>{"libthis.so", "THIS_1"});
  CHECK(image->soname() == "libthis.so");
  CHECK(image->rpath() == "/rpath");
  CHECK(image->runpath() == "$ORIGIN/lib");
  CHECK(image->static_tls());
  CHECK(image->no_delete());
  CHECK_FALSE(image->executable_stack());
  CHECK_FALSE(image->is_executable());
  CHECK(image->build_id() == "01abff");
  REQUIRE(image->notes().size() == 2);
  CHECK(image->notes()[0].name == "Sonicorn");
  REQUIRE(image->symbols().size() == 2);
  CHECK(image->symbols()[0].name == "sonicorn_start");
  CHECK(image->symbols()[0].is_function());
  CHECK_FALSE(image->symbols()[1].is_function());
}

TEST_CASE("only what others can find here counts as exported") {
  const auto exported = [](ElfBuilder::Symbol symbol) {
    ElfBuilder elf;
    elf.symbols = {std::move(symbol)};
    const std::string bytes = elf.build();
    const auto image = ElfImage::parse(bytes);
    REQUIRE(image.has_value());
    return image->symbols().at(0).is_exported();
  };
  CHECK(exported({"f", STT_FUNC, STB_GLOBAL, STV_DEFAULT, true}));
  CHECK(exported({"f", STT_FUNC, STB_WEAK, STV_PROTECTED, true}));
  CHECK(exported({"f", STT_OBJECT, STB_GNU_UNIQUE, STV_DEFAULT, true}));
  CHECK_FALSE(exported({"f", STT_FUNC, STB_LOCAL, STV_DEFAULT, true}));
  CHECK_FALSE(exported({"f", STT_FUNC, STB_GLOBAL, STV_HIDDEN, true}));
  CHECK_FALSE(exported({"f", STT_FUNC, STB_GLOBAL, STV_INTERNAL, true}));
  CHECK_FALSE(exported({"f", STT_FUNC, STB_GLOBAL, STV_DEFAULT, false}));
}

TEST_CASE("a file that is no shared object for this machine is an error of its own") {
  CHECK(error_of("") == "app.not_elf");
  CHECK(error_of("#!/bin/sh\n") == "app.not_elf");
  CHECK(error_of("\x7f"
                 "ELF") == "app.truncated");
  ElfBuilder elf;
  elf.machine = EM_S390;
  CHECK(error_of(elf.build()) == "app.wrong_machine");
  std::string bytes = ElfBuilder().build();
  bytes[EI_CLASS] = ELFCLASS32;
  CHECK(error_of(bytes) == "app.wrong_class");
  for (const int type : {ET_REL, ET_EXEC, ET_CORE}) {
    elf = {};
    elf.type = static_cast<std::uint16_t>(type);
    CHECK(error_of(elf.build()) == "app.not_shared_object");
  }
}

TEST_CASE("a stack is executable when the file says so, or says nothing") {
  const auto executable = [](const ElfBuilder& elf) {
    const std::string bytes = elf.build();
    return ElfImage::parse(bytes)->executable_stack();
  };
  ElfBuilder elf;
  CHECK_FALSE(executable(elf));
  elf.stack_flags |= PF_X;
  CHECK(executable(elf));
  elf.stack_header = false;
  CHECK(executable(elf));
}

TEST_CASE("notes are found behind padding, and a broken one ends the reading") {
  ElfBuilder elf;
  elf.mark("{}");
  elf.notes += std::string(28, '\0');
  elf.mark("{}");
  elf.notes += std::string("\xff\xff\xff\x7f\xff\xff\xff\x7f\x01\x00\x00\x00", 12);
  const std::string bytes = elf.build();
  const auto image = ElfImage::parse(bytes);
  REQUIRE(image.has_value());
  CHECK(image->notes().size() == 2);
}

TEST_CASE("no truncation and no changed byte makes the reader go out of bounds") {
  const std::string whole = everything().build();
  for (std::size_t size = 0; size < whole.size(); ++size) {
    // A copy of the exact size, so that a sanitizer sees a read past its end.
    const std::string cut(whole.data(), size);
    CHECK_FALSE(ElfImage::parse(cut).has_value());
  }
  for (std::size_t at = 0; at < whole.size(); ++at) {
    for (const int value : {0x00, 0x01, 0x7f, 0x80, 0xff}) {
      std::string changed = whole;
      changed[at] = static_cast<char>(value);
      const auto image = ElfImage::parse(changed);
      if (image) static_cast<void>(image->build_id());
    }
  }
}

TEST_CASE("an object as the linker writes it is read, with its GNU hash table") {
  const auto bytes = read_module_file(fixture("only_on_request"));
  REQUIRE(bytes.has_value());
  const auto image = ElfImage::parse(*bytes);
  REQUIRE(image.has_value());
  const auto& symbols = image->symbols();
  CHECK(std::count_if(symbols.begin(), symbols.end(), [](const ElfSymbol& symbol) {
          return symbol.is_exported() && symbol.is_function() &&
                 symbol.name == "sonicorn_on_request";
        }) == 1);
  CHECK(image->build_id().size() == 40);
}

TEST_CASE("undefined symbols are seen in an object that exports nothing") {
  const auto bytes = read_module_file(fixture("constructor_exits"));
  REQUIRE(bytes.has_value());
  const auto image = ElfImage::parse(*bytes);
  REQUIRE(image.has_value());
  CHECK(std::any_of(image->symbols().begin(), image->symbols().end(),
                    [](const ElfSymbol& symbol) { return symbol.is_required(); }));
}

TEST_CASE("a file cut off anywhere behind its segments is truncated too") {
  const auto bytes = read_module_file(fixture("only_on_request"));
  REQUIRE(bytes.has_value());
  const std::string cut(bytes->data(), bytes->size() - 1);
  CHECK(error_of(cut) == "app.truncated");
}

}  // namespace
}  // namespace sonicorn::app
