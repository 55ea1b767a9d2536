// Options: what a client is made from.
// Part of iothub_mqtt.hpp.
#ifndef IOTHUB_MQTT_OPTIONS_HPP
#define IOTHUB_MQTT_OPTIONS_HPP

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>

#include "call.hpp"
#include "message.hpp"
#include "status.hpp"

namespace iothub {

/// iothub_mode_t.
enum class Mode : iothub_mode_t { threaded = IOTHUB_MODE_THREADED, manual = IOTHUB_MODE_MANUAL };

/// iothub_transport_t.
enum class Transport : iothub_transport_t { mqtt = IOTHUB_TRANSPORT_MQTT, websocket = IOTHUB_TRANSPORT_WEBSOCKET };

namespace detail {

/// What a callback of C writes where there is room for *len: the text or bytes, or the reason to have none.
/// A length that is too great is left to C to refuse.
inline iothub_status_t write(const std::optional<std::string> &made, void *out, std::size_t *len) noexcept {
  if (!made) return IOTHUB_E_AUTH;
  const std::size_t room = std::exchange(*len, made->size());
  if (made->size() <= room) std::memcpy(out, made->data(), made->size());
  return IOTHUB_OK;
}

}  // namespace detail

/// What Options and codes::Options share. Each member is the function of C iothub_options_(its name), with
/// that one's ranges and defaults; where C has a unit in the name, there is a duration here.
template <class E>
class BasicOptions {
 public:
  using Outcome = typename E::Outcome;
  using Seconds = std::chrono::seconds;
  using Milliseconds = std::chrono::milliseconds;

  Outcome set_connection_string(Text value) noexcept(E::silent) {
    return E::outcome(iothub_options_set_connection_string(get(), value.get()));
  }
  /// module_id: nullptr for a device.
  Outcome set_identity(Text host, Text device_id, Text module_id = nullptr) noexcept(E::silent) {
    return E::outcome(iothub_options_set_identity(get(), host.get(), device_id.get(), module_id.get()));
  }

  Outcome set_sas_key(Text key_base64) noexcept(E::silent) {
    return E::outcome(iothub_options_set_sas_key(get(), key_base64.get()));
  }
  Outcome set_sas_token(Text token) noexcept(E::silent) {
    return E::outcome(iothub_options_set_sas_token(get(), token.get()));
  }
  Outcome set_sas_life(Seconds life) noexcept(E::silent) {
    return E::outcome(iothub_options_set_sas_life_s(get(), detail::number<std::uint32_t>(life)));
  }
  /// std::optional<std::string> signer(std::string_view data) const: the 32 bytes, not encoded, or nothing if it
  /// cannot sign; there is room for IOTHUB_MAX_SIGNATURE. Clients made from the same options may call it at the same time.
  template <class F>
  Outcome set_sas_signer(F &&signer) {
    const iothub_sign_fn fn = [](const std::uint8_t *data, std::size_t len, std::uint8_t *sig, std::size_t *sig_len,
                                 void *user_data) {
      return detail::write(detail::call<Made, const std::decay_t<F>>(user_data, detail::view(data, len)), sig, sig_len);
    };
    const auto c = detail::closure(fn, std::forward<F>(signer));
    return E::outcome(iothub_options_set_sas_signer(get(), c.fn, c.user_data, c.free_fn));
  }
  /// std::optional<std::string> source() const: a whole token of up to
  /// IOTHUB_MAX_TOKEN bytes, or nothing if there is none. Called as a signer is.
  template <class F>
  Outcome set_sas_token_source(F &&source) {
    const iothub_token_fn fn = [](char *token, std::size_t *len, void *user_data) {
      return detail::write(detail::call<Made, const std::decay_t<F>>(user_data), token, len);
    };
    const auto c = detail::closure(fn, std::forward<F>(source));
    return E::outcome(iothub_options_set_sas_token_source(get(), c.fn, c.user_data, c.free_fn));
  }
  Outcome set_x509_files(Text certificate_path, Text key_path) noexcept(E::silent) {
    return E::outcome(iothub_options_set_x509_files(get(), certificate_path.get(), key_path.get()));
  }
  /// std::optional<std::string> signer(std::int32_t scheme, std::string_view data) const: the signature, or nothing
  /// if it cannot sign. Called as a signer of tokens is. The certificate is PEM.
  template <class F>
  Outcome set_x509_signer(Bytes certificate, F &&signer) {
    const iothub_tls_sign_fn fn = [](std::int32_t scheme, const std::uint8_t *data, std::size_t len,
                                     std::uint8_t *sig, std::size_t *sig_len, void *user_data) {
      return detail::write(detail::call<Made, const std::decay_t<F>>(user_data, scheme, detail::view(data, len)), sig,
                           sig_len);
    };
    const auto c = detail::closure(fn, std::forward<F>(signer));
    return E::outcome(iothub_options_set_x509_signer(get(), certificate.data(), certificate.size(), c.fn, c.user_data,
                                                     c.free_fn));
  }
  Outcome set_edge_environment() noexcept(E::silent) {
    return E::outcome(iothub_options_set_edge_environment(get()));
  }
  /// Both PEM.
  Outcome set_x509(Bytes certificate, Bytes key) noexcept(E::silent) {
    return E::outcome(
        iothub_options_set_x509(get(), certificate.data(), certificate.size(), key.data(), key.size()));
  }
  /// PEM.
  Outcome set_trusted_roots(Bytes certificates) noexcept(E::silent) {
    return E::outcome(iothub_options_set_trusted_roots(get(), certificates.data(), certificates.size()));
  }

  Outcome set_mode(Mode mode) noexcept(E::silent) {
    return E::outcome(iothub_options_set_mode(get(), static_cast<iothub_mode_t>(mode)));
  }
  Outcome set_transport(Transport transport) noexcept(E::silent) {
    return E::outcome(iothub_options_set_transport(get(), static_cast<iothub_transport_t>(transport)));
  }
  /// nullptr: none.
  Outcome set_proxy(Text url) noexcept(E::silent) {
    return E::outcome(iothub_options_set_proxy(get(), url.get()));
  }
  Outcome set_proxy_from_environment() noexcept(E::silent) {
    return E::outcome(iothub_options_set_proxy_from_environment(get()));
  }
  Outcome set_local_address(Text address) noexcept(E::silent) {
    return E::outcome(iothub_options_set_local_address(get(), address.get()));
  }
  Outcome set_interface(Text interface_name) noexcept(E::silent) {
    return E::outcome(iothub_options_set_interface(get(), interface_name.get()));
  }
  Outcome set_gateway(Text host) noexcept(E::silent) {
    return E::outcome(iothub_options_set_gateway(get(), host.get()));
  }
  Outcome set_port(std::uint16_t port) noexcept(E::silent) {
    return E::outcome(iothub_options_set_port(get(), port));
  }
  Outcome set_keep_alive(Seconds silence) noexcept(E::silent) {
    return E::outcome(iothub_options_set_keep_alive_s(get(), detail::number<std::uint32_t>(silence)));
  }
  Outcome set_ping_timeout(Seconds timeout) noexcept(E::silent) {
    return E::outcome(iothub_options_set_ping_timeout_s(get(), detail::number<std::uint32_t>(timeout)));
  }
  Outcome set_stall_timeout(Seconds timeout) noexcept(E::silent) {
    return E::outcome(iothub_options_set_stall_timeout_s(get(), detail::number<std::uint32_t>(timeout)));
  }
  Outcome set_connect_timeout(Milliseconds timeout) noexcept(E::silent) {
    return E::outcome(iothub_options_set_connect_timeout_ms(get(), detail::number<std::uint32_t>(timeout)));
  }
  Outcome set_backoff(Milliseconds first, Milliseconds most) noexcept(E::silent) {
    return E::outcome(iothub_options_set_backoff_ms(get(), detail::number<std::uint32_t>(first),
                                                    detail::number<std::uint32_t>(most)));
  }
  Outcome set_slow_backoff(Milliseconds first, Milliseconds most) noexcept(E::silent) {
    return E::outcome(iothub_options_set_slow_backoff_ms(get(), detail::number<std::uint32_t>(first),
                                                         detail::number<std::uint32_t>(most)));
  }

  Outcome set_queue_limits(std::size_t messages, std::size_t bytes) noexcept(E::silent) {
    return E::outcome(iothub_options_set_queue_limits(get(), messages, bytes));
  }
  Outcome set_in_flight(std::size_t messages) noexcept(E::silent) {
    return E::outcome(iothub_options_set_in_flight(get(), messages));
  }
  /// 0: for ever.
  Outcome set_time_to_live(Milliseconds time) noexcept(E::silent) {
    return E::outcome(iothub_options_set_time_to_live_ms(get(), detail::number<std::uint64_t>(time)));
  }
  Outcome set_request_timeout(Milliseconds timeout) noexcept(E::silent) {
    return E::outcome(iothub_options_set_request_timeout_ms(get(), detail::number<std::uint32_t>(timeout)));
  }
  /// At QoS 0 or 1.
  Outcome set_will(MessageView message, std::int32_t qos) noexcept(E::silent) {
    return E::outcome(iothub_options_set_will(get(), message.get(), qos));
  }
  Outcome set_model_id(Text dtmi) noexcept(E::silent) {
    return E::outcome(iothub_options_set_model_id(get(), dtmi.get()));
  }

  [[nodiscard]] iothub_options_t *get() const noexcept { return handle_.get(); }

 protected:
  explicit BasicOptions(iothub_options_t *options) noexcept : handle_(options) {}

 private:
  using Made = std::optional<std::string>;
  detail::Handle<iothub_options_t, iothub_options_free> handle_;
};

namespace codes {
class Options : public BasicOptions<Codes> {
 public:
  /// iothub_options_new: every default.
  static Result<Options> make() noexcept {
    iothub_options_t *options = nullptr;
    const iothub_status_t code = iothub_options_new(&options);
    return Codes::value(code, Options(options));
  }

 private:
  using BasicOptions::BasicOptions;
};
}  // namespace codes

#ifdef __cpp_exceptions
class Options : public BasicOptions<Throws> {
 public:
  /// iothub_options_new: every default.
  Options() : BasicOptions(make()) {}
  /// With a connection string.
  explicit Options(Text connection_string) : Options() { set_connection_string(connection_string); }

 private:
  static iothub_options_t *make() {
    iothub_options_t *options = nullptr;
    Throws::outcome(iothub_options_new(&options));
    return options;
  }
};
#endif

}  // namespace iothub
#endif
