# Tests that need an IoT Hub, with the program iothub-emulator:
#
#   iothub_emulator_add_test(NAME name [DEVICES id...] [MODULES device/module...] [OPTIONS option...]
#                            COMMAND target-or-program [argument...])
#
# adds a test that runs COMMAND with a local hub of its own on free ports, so that tests may run at the same time. The
# test finds the hub in its environment (IOTHUB_DEVICE_CONNECTION_STRING, IOTHUB_CA_FILE, IOTHUB_MQTT_PORT, ...) and passes
# when COMMAND ends with 0; `iothub-emulator run --help` names all of it. OPTIONS are further ones of that command. A
# device may have its key, as in id=BASE64KEY.
#
# find_package(iothub_mqtt) includes this file; it stands on its own, too. The program is searched for beside the package,
# in the path and where cargo installs programs; the variable IOTHUB_EMULATOR, of CMake or the environment, is its path.
include_guard(GLOBAL)

function(iothub_emulator_add_test)
  cmake_parse_arguments(PARSE_ARGV 0 arg "" "NAME" "DEVICES;MODULES;OPTIONS;COMMAND")
  foreach(needed IN ITEMS NAME COMMAND)
    if(NOT arg_${needed})
      message(FATAL_ERROR "iothub_emulator_add_test: ${needed} is missing")
    endif()
  endforeach()
  if(arg_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "iothub_emulator_add_test: unknown arguments: ${arg_UNPARSED_ARGUMENTS}")
  endif()

  if(NOT IOTHUB_EMULATOR AND DEFINED ENV{IOTHUB_EMULATOR})
    set(IOTHUB_EMULATOR "$ENV{IOTHUB_EMULATOR}" CACHE FILEPATH "The program iothub-emulator")
  endif()
  find_program(IOTHUB_EMULATOR iothub-emulator
               HINTS "${CMAKE_CURRENT_FUNCTION_LIST_DIR}/../../../bin" ENV CARGO_HOME
               PATHS "$ENV{HOME}/.cargo" PATH_SUFFIXES bin DOC "The program iothub-emulator")
  if(NOT IOTHUB_EMULATOR)
    message(FATAL_ERROR "iothub_emulator_add_test: the program iothub-emulator is not found; set IOTHUB_EMULATOR to its path")
  endif()

  set(hub run)
  foreach(device IN LISTS arg_DEVICES)
    list(APPEND hub --device "${device}")
  endforeach()
  foreach(module IN LISTS arg_MODULES)
    list(APPEND hub --module "${module}")
  endforeach()
  list(POP_FRONT arg_COMMAND program)
  if(TARGET "${program}")
    set(program "$<TARGET_FILE:${program}>")
  endif()
  add_test(NAME "${arg_NAME}"
           COMMAND "${IOTHUB_EMULATOR}" ${hub} ${arg_OPTIONS} -- "${program}" ${arg_COMMAND})
endfunction()
