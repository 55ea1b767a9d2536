// The library's log, for the whole process.
// Part of iothub_mqtt.hpp.
#ifndef IOTHUB_MQTT_LOG_HPP
#define IOTHUB_MQTT_LOG_HPP

#include <cstdint>
#include <string_view>

#include "call.hpp"
#include "status.hpp"

namespace iothub {
namespace detail {

template <class E, class F>
typename E::Outcome log_to(std::int32_t level, F &&receiver) {
  const iothub_log_fn fn = [](std::int32_t severity, const char *target, const char *text,
                              void *user_data) {
    call<void, const std::decay_t<F>>(user_data, severity, std::string_view(target), std::string_view(text));
  };
  const auto c = closure(fn, std::forward<F>(receiver));
  return E::outcome(iothub_log_to(level, c.fn, c.user_data, c.free_fn));
}

}  // namespace detail

namespace codes {
/// iothub_log_to: receiver(std::int32_t level, std::string_view target, std::string_view text), const, as it
/// may run on several threads at a time. Nothing: log_to(0, nullptr).
template <class F>
Status log_to(std::int32_t level, F &&receiver) {
  return detail::log_to<Codes>(level, std::forward<F>(receiver));
}
}  // namespace codes

#ifdef __cpp_exceptions
/// As codes::log_to.
template <class F>
void log_to(std::int32_t level, F &&receiver) {
  detail::log_to<Throws>(level, std::forward<F>(receiver));
}
#endif

}  // namespace iothub
#endif
