#include "app/inspection.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "elf_builder.hpp"
#include "temporary_folder.hpp"

namespace sonicorn::app {
namespace {

Inspection inspected(const ElfBuilder& elf,
                     const std::filesystem::path& file = "/nowhere/hello.so") {
  const std::string bytes = elf.build();
  return inspect(bytes, file, Offer::of_server());
}

ElfBuilder marked() {
  ElfBuilder elf;
  elf.mark();
  return elf;
}

bool has_hazard(const Inspection& inspection, std::string_view id) {
  return std::any_of(inspection.hazards.begin(), inspection.hazards.end(),
                     [id](const Hazard& hazard) { return hazard.id == id; });
}

// The only reason, which begins with the file's name.
std::string reason_of(const Inspection& inspection) {
  CHECK_FALSE(inspection.loadable());
  REQUIRE(inspection.reasons.size() == 1);
  CHECK(inspection.reasons[0].starts_with(inspection.file.filename().string() + " "));
  return inspection.reasons[0];
}

bool contains(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

TEST_CASE("an object with an ABI mark and no attribute is loadable, with a warning") {
  const Inspection inspection = inspected(marked());
  CHECK(inspection.loadable());
  CHECK(inspection.name == "hello");
  CHECK(inspection.abi == "1.0");
  CHECK(inspection.attributes.size() == 0);
  CHECK(inspection.hazards.empty());
  REQUIRE(inspection.warnings.size() == 1);
  CHECK(contains(inspection.warnings[0], "declares no attribute"));
  CHECK(inspected(marked().function("sonicorn_start")).warnings.empty());
}

TEST_CASE("exactly the functions that the object exports are its attributes") {
  ElfBuilder elf = marked();
  elf.symbols = {{"sonicorn_start"},
                 {"sonicorn_shutdown", STT_FUNC, STB_WEAK, STV_PROTECTED},
                 {"sonicorn_ready", STT_FUNC, STB_LOCAL},
                 {"sonicorn_drain", STT_FUNC, STB_GLOBAL, STV_HIDDEN},
                 {"sonicorn_health", STT_FUNC, STB_WEAK, STV_DEFAULT, false}};
  const Inspection inspection = inspected(elf);
  CHECK(inspection.loadable());
  CHECK(inspection.attributes.size() == 2);
  CHECK(inspection.attributes.has(Attribute::start));
  CHECK(inspection.attributes.has(Attribute::shutdown));
}

TEST_CASE("an attribute that is data is refused") {
  for (const unsigned type : {1U * STT_OBJECT, 1U * STT_NOTYPE, 1U * STT_TLS}) {
    ElfBuilder elf = marked();
    elf.symbols = {{"sonicorn_on_request", type}};
    const Inspection inspection = inspected(elf);
    CHECK(contains(reason_of(inspection), "sonicorn_on_request as data"));
    CHECK(inspection.attributes.size() == 0);
  }
}

TEST_CASE("probable typos are told and are no refusal") {
  ElfBuilder elf = marked();
  elf.function("sonicorn_shutdwon").function("on_request").function("_Z14sonicorn_startPv");
  elf.function("sonicorn_quux_zzzzzzzzzz");
  const Inspection inspection = inspected(elf);
  CHECK(inspection.loadable());
  CHECK(inspection.unknown_attributes == std::vector<std::string>{"sonicorn_shutdwon",
                                                                  "sonicorn_start",
                                                                  "sonicorn_quux_zzzzzzzzzz"});
  REQUIRE(inspection.warnings.size() == 5);
  CHECK(contains(inspection.warnings[0], "did you mean sonicorn_shutdown?"));
  CHECK(contains(inspection.warnings[1], "extern \"C\""));
  CHECK(contains(inspection.warnings[3], "did you mean sonicorn_on_request?"));
}

TEST_CASE("each refusal says what it is about") {
  ElfBuilder elf;
  CHECK(contains(reason_of(inspected(elf)), "has no Sonicorn ABI mark"));
  elf.mark("this is no JSON of ABI 1", 2, 0);
  Inspection inspection = inspected(elf);
  CHECK(inspection.abi == "2.0");
  CHECK(contains(reason_of(inspection), "ABI 2.0"));
  elf = {};
  elf.mark("", 1, 99);
  inspection = inspected(elf);
  CHECK(inspection.abi == "1.99");
  CHECK(contains(reason_of(inspection), "newer than this server's 1.0"));
  elf = {};
  elf.mark(R"({"requires": ["shutdown/1", "com.example.nothing/1"]})");
  CHECK(contains(reason_of(inspected(elf)), "com.example.nothing/1"));
  elf = {};
  elf.mark(R"({"blocking": 1})");
  CHECK(contains(reason_of(inspected(elf)), "\"blocking\" must be true or false"));
  elf = {};
  elf.note("Sonicorn", 1, "xy");
  CHECK(contains(reason_of(inspected(elf)), "manifest"));
  elf = marked();
  elf.flags_1 = DF_1_PIE;
  CHECK(contains(reason_of(inspected(elf)), "executable"));
  elf = marked();
  elf.interpreter = "/lib64/ld-linux-x86-64.so.2";
  CHECK(contains(reason_of(inspected(elf)), "executable"));
  CHECK(contains(reason_of(inspect("text", "/nowhere/a.so", {})), "not an ELF file"));
}

TEST_CASE("hazards are told and are no refusal") {
  ElfBuilder elf = marked();
  elf.symbols = {{"_ZZ1fvE1x", STT_OBJECT, STB_GNU_UNIQUE}};
  elf.flags = DF_STATIC_TLS;
  elf.flags_1 = DF_1_NODELETE;
  elf.stack_flags = PF_R | PF_W | PF_X;
  const Inspection inspection = inspected(elf);
  CHECK(inspection.loadable());
  for (const char* id : {"unique_symbols", "nodelete", "static_tls", "executable_stack"}) {
    CAPTURE(id);
    CHECK(has_hazard(inspection, id));
  }
  CHECK(contains(inspection.hazards[0].detail, "f()::x"));
}

TEST_CASE("a symbol that nobody defines is a hazard and a refusal") {
  ElfBuilder elf = marked();
  elf.symbols = {{"surely_nobody_defines_this", STT_NOTYPE, STB_GLOBAL, STV_DEFAULT, false},
                 {"optional_function", STT_NOTYPE, STB_WEAK, STV_DEFAULT, false},
                 {"malloc", STT_NOTYPE, STB_GLOBAL, STV_DEFAULT, false},
                 {"__tls_get_addr", STT_NOTYPE, STB_GLOBAL, STV_DEFAULT, false}};
  const Inspection inspection = inspected(elf);
  CHECK(contains(reason_of(inspection), "uses surely_nobody_defines_this, which"));
  CHECK(has_hazard(inspection, "undefined_symbols"));
}

TEST_CASE("a library that is not found is a hazard and a refusal") {
  ElfBuilder elf = marked();
  elf.needed = {"libc.so.6", "libsurely-not-there.so.9"};
  const Inspection inspection = inspected(elf);
  CHECK(contains(reason_of(inspection), "libsurely-not-there.so.9"));
  CHECK(has_hazard(inspection, "missing_library"));
}

TEST_CASE("a library is found through $ORIGIN, with what it defines") {
  const TemporaryFolder folder;
  ElfBuilder library;
  library.soname = "libbeside.so.1";
  library.function("beside_function");
  const auto file = folder.write("libbeside.so.1", library.build());
  ElfBuilder elf = marked();
  elf.needed = {"libbeside.so.1"};
  elf.runpath = "/nowhere:${ORIGIN}";
  elf.symbols = {{"beside_function", STT_NOTYPE, STB_GLOBAL, STV_DEFAULT, false}};
  const Inspection inspection = inspected(elf, folder.path() / "hello.so");
  CHECK_MESSAGE(inspection.loadable(), to_text(inspection));
  CHECK(inspection.libraries_beside == std::vector<std::filesystem::path>{file});

  library.soname.clear();
  folder.write("libbeside.so.1", library.build());
  CHECK(contains(reason_of(inspected(elf, folder.path() / "hello.so")), "-Wl,-soname"));
}

TEST_CASE("a library of another machine is passed over") {
  const TemporaryFolder folder;
  ElfBuilder library;
  library.machine = EM_S390;
  library.soname = "libbeside.so.1";
  folder.write("libbeside.so.1", library.build());
  ElfBuilder elf = marked();
  elf.needed = {"libbeside.so.1"};
  elf.rpath = "$ORIGIN";
  CHECK(contains(reason_of(inspected(elf, folder.path() / "hello.so")), "libbeside.so.1"));
}

TEST_CASE("libraries that need one another end") {
  const TemporaryFolder folder;
  for (const auto& [name, other] : {std::pair("liba.so", "libb.so"), {"libb.so", "liba.so"}}) {
    ElfBuilder library;
    library.soname = name;
    library.needed = {other};
    library.runpath = "$ORIGIN";
    folder.write(name, library.build());
  }
  ElfBuilder elf = marked();
  elf.needed = {"liba.so"};
  elf.runpath = "$ORIGIN";
  const Inspection inspection = inspected(elf, folder.path() / "hello.so");
  CHECK(inspection.loadable());
  CHECK(inspection.libraries_beside ==
        std::vector<std::filesystem::path>{folder.path() / "liba.so", folder.path() / "libb.so"});
}

TEST_CASE("a version that a library does not have is a hazard and a refusal") {
  const TemporaryFolder folder;
  ElfBuilder library;
  library.soname = "libv.so";
  library.defined_versions = {"libv.so", "V1"};
  const auto file = folder.write("libv.so", library.build());
  ElfBuilder elf = marked();
  elf.needed = {"libv.so"};
  elf.runpath = "$ORIGIN";
  elf.needed_versions = {{"libv.so", "V1"}, {"libv.so", "V2", true}};
  CHECK(inspected(elf, folder.path() / "hello.so").loadable());
  elf.needed_versions = {{"libv.so", "V1"}, {"libv.so", "V2"}};
  const Inspection inspection = inspected(elf, folder.path() / "hello.so");
  CHECK(contains(reason_of(inspection), "needs version V2 of libv.so"));
  CHECK(contains(reason_of(inspection), file.string() + " does not have it"));
  CHECK(has_hazard(inspection, "undefined_symbols"));

  library.defined_versions.clear();
  folder.write("libv.so", library.build());
  CHECK(inspected(elf, folder.path() / "hello.so").loadable());
}

TEST_CASE("the JSON report has its keys and is valid for any bytes") {
  ElfBuilder elf;
  elf.mark(R"({"name": "n", "uses": ["log/1"], "threads": "serial"})").function("sonicorn_start");
  elf.function("sonicorn_\xff\x01");
  const auto report = nlohmann::json::parse(to_json(inspected(elf, "/nowhere/\xff\n\".so")));
  for (const char* key :
       {"file", "name", "version", "abi", "build_id", "attributes", "unknown_attributes",
        "requires", "uses", "threads", "blocking", "overlap", "hazards", "loadable", "reasons"}) {
    CAPTURE(key);
    CHECK(report.contains(key));
  }
  CHECK(report["name"] == "n");
  CHECK(report["attributes"] == nlohmann::json{"start"});
  CHECK(report["uses"] == nlohmann::json{"log/1"});
  CHECK(report["threads"] == "serial");
  CHECK(report["loadable"] == true);
  CHECK(report["reasons"].is_array());
}

TEST_CASE("the text report shows each attribute and no control character of the file") {
  ElfBuilder elf = marked();
  elf.function("sonicorn_start").function("sonicorn_\x1b[31m\xc2\x9b");
  const std::string text = to_text(inspected(elf, "/nowhere/\x1b[2J.so"));
  for (const std::string_view name : kAttributeNames) CHECK(contains(text, name));
  CHECK(contains(text, "declared"));
  CHECK(contains(text, "\\x1b[2J"));
  CHECK_FALSE(contains(text, "\x1b"));
  CHECK_FALSE(contains(text, "\xc2\x9b"));
}

TEST_CASE("a file that cannot be read is told apart from one that is no app") {
  const TemporaryFolder folder;
  CHECK(read_module_file(folder.path() / "missing.so").error().id == "app.file_missing");
  CHECK(read_module_file(folder.path()).error().id == "app.not_a_file");
  CHECK(read_module_file("/dev/null").error().id == "app.not_a_file");
  CHECK(read_module_file(folder.write("empty.so", "")).error().id == "app.file_empty");
  CHECK(read_module_file(folder.write("text.so", "text")).value() == "text");
  std::filesystem::create_symlink("loop", folder.path() / "loop");
  CHECK(read_module_file(folder.path() / "loop").error().id == "app.file_unreadable");
}

}  // namespace
}  // namespace sonicorn::app
