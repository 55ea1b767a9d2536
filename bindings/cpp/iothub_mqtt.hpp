// iothub_mqtt.hpp - Azure IoT Hub device client, in C++17 over iothub_mqtt.h.
//
// Only idiom is added: no logic, no thread, no state but the handle. A member calls the function of C that has
// its name - Client::twin_get is iothub_client_twin_get - and that function's documentation holds here too. So does
// the first page of iothub_mqtt.h, on threads above all: callables run on threads of the library, and with
// Mode::manual inside Client::process (so the thread that calls that must not wait for a future).
//
// ERRORS     One rule: in iothub, a call that fails throws iothub::Error. In iothub::codes are the same classes, in
//            which it returns a Status instead (or a Result, where it makes or reads something): nothing of this
//            library is thrown. With -fno-exceptions only these exist.
//            How an operation ends is told to its callable, as a Status, in both. In iothub an operation that is
//            given no callable returns a std::future, which holds a value or an Error. Where the call itself
//            fails it says so, throwing or returning; the callable is not called then.
// CALLABLES  Lambdas, functions, objects; also such as can only be moved. The library owns them from the call on,
//            and destroys each once, after its last run or when another takes its place. nullptr is for none: no
//            handler, or nobody who wants to know how it ends.
//            An exception that leaves a callable ends the program (std::terminate). It cannot cross C, and
//            nobody but the callable knows what it means.
// BORROWED   A MessageView, Status or std::string_view that a callable is given is valid until it returns.
// TEXT       What goes in as Text has to end with NUL, so it is a literal or a std::string. What goes in as Bytes
//            is anything with data() and size().
// TIME       Durations are those of std::chrono. One that the number of C cannot hold becomes the nearest that it can.
// EMPTY      Options, Message and Client can be moved, not copied. What was moved from, freed, or not made
//            (in a Result) is empty: its calls fail with Code::argument.
// C          get() lends the handle to functions of C.
//
// Link with the library and -pthread (pkg-config iothub_mqtt; CMake iothub_mqtt::cpp).
#ifndef IOTHUB_MQTT_HPP
#define IOTHUB_MQTT_HPP

#include "iothub_mqtt/call.hpp"
#include "iothub_mqtt/client.hpp"
#include "iothub_mqtt/doctor.hpp"
#include "iothub_mqtt/log.hpp"
#include "iothub_mqtt/message.hpp"
#include "iothub_mqtt/options.hpp"
#include "iothub_mqtt/status.hpp"

#endif
