# find_package(iothub_mqtt) gives the target iothub_mqtt::iothub_mqtt, and iothub_mqtt::static where the static
# library is installed; iothub_mqtt::cpp is for iothub_mqtt.hpp, with C++17 and threads. This file lies in <prefix>/share/iothub_mqtt/cmake.
get_filename_component(_iothub_prefix "${CMAKE_CURRENT_LIST_DIR}/../../.." ABSOLUTE)
find_path(_iothub_include iothub_mqtt.h HINTS "${_iothub_prefix}/include" NO_CACHE REQUIRED)
find_library(_iothub_shared NAMES libiothub_mqtt.so HINTS "${_iothub_prefix}" PATH_SUFFIXES lib lib64
             "lib/${CMAKE_LIBRARY_ARCHITECTURE}" NO_CACHE)
find_library(_iothub_static NAMES libiothub_mqtt.a HINTS "${_iothub_prefix}" PATH_SUFFIXES lib lib64
             "lib/${CMAKE_LIBRARY_ARCHITECTURE}" NO_CACHE)

foreach(_iothub_kind IN ITEMS shared static)
  set(_iothub_target iothub_mqtt::${_iothub_kind})
  if(_iothub_${_iothub_kind} AND NOT TARGET ${_iothub_target})
    add_library(${_iothub_target} UNKNOWN IMPORTED)
    set_target_properties(${_iothub_target} PROPERTIES IMPORTED_LOCATION "${_iothub_${_iothub_kind}}"
                          INTERFACE_INCLUDE_DIRECTORIES "${_iothub_include}")
  endif()
endforeach()
find_package(Threads REQUIRED)
if(TARGET iothub_mqtt::static)
  set_property(TARGET iothub_mqtt::static PROPERTY INTERFACE_LINK_LIBRARIES Threads::Threads ${CMAKE_DL_LIBS} m)
endif()

if(NOT TARGET iothub_mqtt::iothub_mqtt)
  add_library(iothub_mqtt::iothub_mqtt INTERFACE IMPORTED)
  if(TARGET iothub_mqtt::shared)
    set_property(TARGET iothub_mqtt::iothub_mqtt PROPERTY INTERFACE_LINK_LIBRARIES iothub_mqtt::shared)
  else()
    set_property(TARGET iothub_mqtt::iothub_mqtt PROPERTY INTERFACE_LINK_LIBRARIES iothub_mqtt::static)
  endif()
endif()

if(NOT TARGET iothub_mqtt::cpp)
  add_library(iothub_mqtt::cpp INTERFACE IMPORTED)
  target_compile_features(iothub_mqtt::cpp INTERFACE cxx_std_17)
  target_link_libraries(iothub_mqtt::cpp INTERFACE iothub_mqtt::iothub_mqtt Threads::Threads)
endif()

# iothub_emulator_add_test(), for tests that need a hub.
include("${CMAKE_CURRENT_LIST_DIR}/IoTHubEmulator.cmake")
