// What is wrong between this machine and its hub.
// Part of iothub_mqtt.hpp.
#ifndef IOTHUB_MQTT_DOCTOR_HPP
#define IOTHUB_MQTT_DOCTOR_HPP

#include <memory>
#include <string_view>
#include <type_traits>

#include "call.hpp"
#include "options.hpp"
#include "status.hpp"

namespace iothub {

/// iothub_check_t. Expect new ones.
enum class Check : iothub_check_t {
  options = IOTHUB_CHECK_OPTIONS,
  name = IOTHUB_CHECK_NAME,
  proxy = IOTHUB_CHECK_PROXY,
  tcp = IOTHUB_CHECK_TCP,
  tls = IOTHUB_CHECK_TLS,
  clock = IOTHUB_CHECK_CLOCK,
  websocket = IOTHUB_CHECK_WEBSOCKET,
  credentials = IOTHUB_CHECK_CREDENTIALS,
};

/// iothub_verdict_t. Expect new ones.
enum class Verdict : iothub_verdict_t {
  passed = IOTHUB_VERDICT_PASSED,
  failed = IOTHUB_VERDICT_FAILED,
  not_needed = IOTHUB_VERDICT_NOT_NEEDED,
  not_done = IOTHUB_VERDICT_NOT_DONE,
};

/// "tls" and the like: iothub_check_name.
[[nodiscard]] inline const char *name(Check check) noexcept {
  return iothub_check_name(static_cast<iothub_check_t>(check));
}

/// What a check has found, for the length of a call of the callable.
struct Finding {
  Check check;
  Verdict verdict;
  Code code;
  std::string_view detail;
};

namespace detail {

template <class E, class F>
typename E::Outcome doctor(const BasicOptions<E> &options, F &&tell) noexcept(E::silent) {
  using Callable = std::remove_reference_t<F>;
  const iothub_check_fn fn = [](iothub_check_t check, iothub_verdict_t verdict, iothub_status_t status,
                                const char *detail, void *user_data) {
    call<void, Callable>(user_data, Finding{static_cast<Check>(check), static_cast<Verdict>(verdict),
                                            static_cast<Code>(status), detail});
  };
  // It is called before this returns, and C hands the pointer through.
  void *const user_data = const_cast<void *>(static_cast<const void *>(std::addressof(tell)));
  return E::outcome(iothub_doctor(options.get(), fn, user_data));
}

}  // namespace detail

namespace codes {
/// iothub_doctor: tell(Finding), on this thread, before this returns. It is not kept.
template <class F>
Status doctor(const Options &options, F &&tell) noexcept {
  return detail::doctor<Codes>(options, std::forward<F>(tell));
}
}  // namespace codes

#ifdef __cpp_exceptions
/// As codes::doctor.
template <class F>
void doctor(const Options &options, F &&tell) {
  detail::doctor<Throws>(options, std::forward<F>(tell));
}
#endif

}  // namespace iothub
#endif
