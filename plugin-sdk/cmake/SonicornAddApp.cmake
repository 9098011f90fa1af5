# sonicorn_add_app(NAME SOURCE... [LIBRARIES LIBRARY...] [VERSION TEXT] [DESCRIPTION TEXT])
#
# Builds the app NAME.so from C or C++ sources: only its attributes are exported, nothing in it is unique
# in the process (so that a later build of it can be loaded beside it), every symbol is resolved at link
# time, and an export that looks like a misspelt attribute fails the build. C++ is C++20 unless the
# project asks for another standard.
#
#   LIBRARIES    targets or libraries to link
#   VERSION, DESCRIPTION   go into the manifest; do not give them in SONICORN_MANIFEST as well
#
# NAME is the target; where SONICORN_APP_OUTPUT_DIRECTORY is set, the file is put there.
include_guard(GLOBAL)

set(SONICORN_PACKAGE_DIR "${CMAKE_CURRENT_LIST_DIR}" CACHE INTERNAL "Files of the Sonicorn package")

function(sonicorn_add_app name)
  cmake_parse_arguments(PARSE_ARGV 1 app "" "VERSION;DESCRIPTION" "SOURCES;LIBRARIES")
  set(sources ${app_UNPARSED_ARGUMENTS} ${app_SOURCES})
  if(NOT sources)
    message(FATAL_ERROR "sonicorn_add_app(${name}): it has no source; write sonicorn_add_app(${name} ${name}.cpp)")
  endif()
  get_property(languages GLOBAL PROPERTY ENABLED_LANGUAGES)
  if(NOT "C" IN_LIST languages AND NOT "CXX" IN_LIST languages)
    message(FATAL_ERROR "sonicorn_add_app(${name}): the project has neither C nor CXX; write project(... LANGUAGES CXX)")
  endif()

  add_library(${name} MODULE ${sources})
  target_link_libraries(${name} PRIVATE Sonicorn::sdk ${app_LIBRARIES})
  set_target_properties(${name} PROPERTIES
    PREFIX ""
    SUFFIX ".so"
    C_VISIBILITY_PRESET hidden
    CXX_VISIBILITY_PRESET hidden
    VISIBILITY_INLINES_HIDDEN ON)
  if(SONICORN_APP_OUTPUT_DIRECTORY)
    set_target_properties(${name} PROPERTIES
      LIBRARY_OUTPUT_DIRECTORY "${SONICORN_APP_OUTPUT_DIRECTORY}")
  endif()
  if("CXX" IN_LIST languages)
    _sonicorn_set_cxx(${name})
  endif()
  if(DEFINED app_VERSION OR DEFINED app_DESCRIPTION)
    _sonicorn_add_manifest(${name} "${languages}")
  endif()
  _sonicorn_set_link(${name})
  _sonicorn_add_check(${name})
endfunction()

function(_sonicorn_set_cxx name)
  get_target_property(standard ${name} CXX_STANDARD)
  if(NOT standard AND NOT CMAKE_CXX_FLAGS MATCHES "-std=")
    set_target_properties(${name} PROPERTIES CXX_STANDARD 20 CXX_STANDARD_REQUIRED ON)
  endif()
  # GCC makes statics of templates and inline functions one per process, also across builds of one app.
  include(CheckCXXCompilerFlag)
  check_cxx_compiler_flag(-fno-gnu-unique SONICORN_CXX_KNOWS_NO_GNU_UNIQUE)
  if(SONICORN_CXX_KNOWS_NO_GNU_UNIQUE)
    target_compile_options(${name} PRIVATE "$<$<COMPILE_LANGUAGE:CXX>:-fno-gnu-unique>")
  endif()
endfunction()

# A source of its own for what the build says of the app.
function(_sonicorn_add_manifest name languages)
  set(json "")
  foreach(key IN ITEMS VERSION DESCRIPTION)
    if(DEFINED app_${key})
      set(value "${app_${key}}")
      string(REPLACE "\\" "\\\\" value "${value}")
      string(REPLACE "\"" "\\\"" value "${value}")
      string(REPLACE "\n" "\\n" value "${value}")
      string(REPLACE "\t" "\\t" value "${value}")
      string(TOLOWER "${key}" key)
      if(json)
        string(APPEND json ", ")
      endif()
      string(APPEND json "\"${key}\": \"${value}\"")
    endif()
  endforeach()
  set(extension c)
  if(NOT "C" IN_LIST languages)
    set(extension cpp)
  endif()
  set(source "${CMAKE_CURRENT_BINARY_DIR}/${name}.manifest.${extension}")
  file(CONFIGURE OUTPUT "${source}" @ONLY
       CONTENT "#include <sonicorn/manifest.h>\n\nSONICORN_MANIFEST({@json@});\n")
  target_sources(${name} PRIVATE "${source}")
endfunction()

function(_sonicorn_set_link name)
  set(map "${SONICORN_PACKAGE_DIR}/sonicorn-app.map")
  target_link_options(${name} PRIVATE
    LINKER:--build-id
    LINKER:-z,noexecstack
    "LINKER:--version-script=${map}")
  set_property(TARGET ${name} APPEND PROPERTY LINK_DEPENDS "${map}")
  # The functions of a sanitizer are in the executable, not in the app.
  get_property(compile_options DIRECTORY PROPERTY COMPILE_OPTIONS)
  if(NOT "${compile_options} ${CMAKE_C_FLAGS} ${CMAKE_CXX_FLAGS}" MATCHES "-fsanitize")
    target_link_options(${name} PRIVATE LINKER:-z,defs)
  endif()
endfunction()

function(_sonicorn_add_check name)
  if(NOT CMAKE_NM)
    message(WARNING "sonicorn_add_app(${name}): found no nm, so the exports of ${name}.so are not checked; install binutils")
    return()
  endif()
  add_custom_command(TARGET ${name} POST_BUILD VERBATIM
    COMMAND "${CMAKE_COMMAND}" "-DAPP=$<TARGET_FILE:${name}>" "-DNM=${CMAKE_NM}"
            "-DREADELF=${CMAKE_READELF}"
            "-DINCLUDE_DIRS=$<TARGET_PROPERTY:${name},INCLUDE_DIRECTORIES>"
            -P "${SONICORN_PACKAGE_DIR}/SonicornCheckApp.cmake")
endfunction()
