# find_package(Sonicorn): the target Sonicorn::sdk and the function sonicorn_add_app().
if(NOT TARGET Sonicorn::sdk)
  include("${CMAKE_CURRENT_LIST_DIR}/SonicornTargets.cmake")
endif()
include("${CMAKE_CURRENT_LIST_DIR}/SonicornAddApp.cmake")
