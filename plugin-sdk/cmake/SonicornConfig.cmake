# find_package(Sonicorn): the targets Sonicorn::sdk and Sonicorn::testing and the function sonicorn_add_app().
# The test host alone needs nlohmann_json; find_package(Sonicorn REQUIRED COMPONENTS testing) says so where it
# is missing.
if(NOT TARGET Sonicorn::sdk)
  include("${CMAKE_CURRENT_LIST_DIR}/SonicornTargets.cmake")
endif()
include("${CMAKE_CURRENT_LIST_DIR}/SonicornAddApp.cmake")
if(NOT TARGET nlohmann_json::nlohmann_json)
  find_package(nlohmann_json QUIET)
endif()
if("testing" IN_LIST Sonicorn_FIND_COMPONENTS AND NOT TARGET nlohmann_json::nlohmann_json)
  set(Sonicorn_FOUND FALSE)
  set(Sonicorn_NOT_FOUND_MESSAGE "Sonicorn::testing needs nlohmann_json (Debian: nlohmann-json3-dev)")
endif()
