#include "codec.hpp"

#include <algorithm>
#include <atomic>
#include <iostream>
#include <memory>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "vault.hpp"

namespace agent {
namespace {

using iothub::Field;

constexpr std::pair<const char *, Field> fields[] = {
    {"message_id", Field::message_id},       {"correlation_id", Field::correlation_id},
    {"content_type", Field::content_type},   {"content_encoding", Field::content_encoding},
    {"output_name", Field::output_name},     {"component", Field::component},
    {"creation_time", Field::creation_time}, {"user_id", Field::user_id},
    {"to", Field::to},                       {"expiry", Field::expiry},
    {"interface_id", Field::interface_id},
};

bool is_text(std::string_view bytes) {
  try {
    static_cast<void>(Json(bytes).dump());
    return true;
  } catch (const Json::type_error &) {
    return false;
  }
}

/// Gives its tokens one after the other, and the last one from then on.
class Tokens {
 public:
  explicit Tokens(const Json &tokens) : tokens_(tokens.get<std::vector<std::string>>()) {}
  std::optional<std::string> operator()() const {
    const auto n = next_->fetch_add(1);
    return tokens_[std::min(n, tokens_.size() - 1)];
  }

 private:
  std::vector<std::string> tokens_;
  std::shared_ptr<std::atomic<std::size_t>> next_ = std::make_shared<std::atomic<std::size_t>>(0);
};

void set_option(iothub::Options &options, const std::string &name, const Json &value) {
  using std::chrono::milliseconds;
  using std::chrono::seconds;
  const auto text = [](const Json &value) { return value.get<std::string>(); };
  const auto number = [](const Json &value) { return value.get<std::int64_t>(); };
  const auto ms = [&](const Json &value) { return milliseconds(number(value)); };
  const auto s = [&](const Json &value) { return seconds(number(value)); };
  if (name == "connection_string") return options.set_connection_string(text(value));
  if (name == "identity") {
    if (value.size() > 2) return options.set_identity(text(value[0]), text(value[1]), text(value[2]));
    return options.set_identity(text(value[0]), text(value[1]));
  }
  if (name == "sas_key") return options.set_sas_key(text(value));
  if (name == "sas_token") return options.set_sas_token(text(value));
  if (name == "sas_signer")
    return options.set_sas_signer([key = text(value)](std::string_view data) -> std::optional<std::string> {
      return Vault::sign(key, data);
    });
  if (name == "sas_token_source") return options.set_sas_token_source(Tokens(value));
  if (name == "x509_files") return options.set_x509_files(text(value[0]), text(value[1]));
  if (name == "sas_life_s") return options.set_sas_life(s(value));
  if (name == "x509") return options.set_x509(text(value[0]), text(value[1]));
  if (name == "trusted_roots") return options.set_trusted_roots(text(value));
  if (name == "gateway") return options.set_gateway(text(value));
  if (name == "port") return options.set_port(value.get<std::uint16_t>());
  if (name == "transport")
    return options.set_transport(value == "websocket" ? iothub::Transport::websocket : iothub::Transport::mqtt);
  if (name == "proxy") return options.set_proxy(text(value));
  if (name == "local_address") return options.set_local_address(text(value));
  if (name == "keep_alive_s") return options.set_keep_alive(s(value));
  if (name == "ping_timeout_s") return options.set_ping_timeout(s(value));
  if (name == "connect_timeout_ms") return options.set_connect_timeout(ms(value));
  if (name == "request_timeout_ms") return options.set_request_timeout(ms(value));
  if (name == "backoff_ms") return options.set_backoff(ms(value[0]), ms(value[1]));
  if (name == "slow_backoff_ms") return options.set_slow_backoff(ms(value[0]), ms(value[1]));
  if (name == "queue_limits")
    return options.set_queue_limits(value[0].get<std::size_t>(), value[1].get<std::size_t>());
  if (name == "in_flight") return options.set_in_flight(value.get<std::size_t>());
  if (name == "time_to_live_ms") return options.set_time_to_live(ms(value));
  if (name == "will") return options.set_will(message(value.at("message")), value.at("qos").get<std::int32_t>());
  if (name == "model_id") return options.set_model_id(text(value));
  throw std::out_of_range("the agent does not know " + name);
}

}  // namespace

std::string from_hex(const std::string &digits) {
  std::string bytes;
  for (std::size_t i = 0; i + 1 < digits.size(); i += 2)
    bytes.push_back(static_cast<char>(std::stoi(digits.substr(i, 2), nullptr, 16)));
  return bytes;
}

std::string to_hex(std::string_view bytes) {
  std::string digits;
  for (unsigned char byte : bytes) {
    digits.push_back("0123456789abcdef"[byte >> 4]);
    digits.push_back("0123456789abcdef"[byte & 15]);
  }
  return digits;
}

void say(const Json &line) {
  static std::mutex turn;
  const std::lock_guard<std::mutex> lock(turn);
  std::cout << line << std::endl;
}

std::string_view word(std::string_view name) {
  for (std::string_view prefix : {"IOTHUB_E_", "IOTHUB_"})
    if (name.substr(0, prefix.size()) == prefix) return name.substr(prefix.size());
  return name;
}

iothub::Message message(const Json &told) {
  iothub::Message message(told.contains("body_hex") ? from_hex(told["body_hex"]) : told.value("body", ""));
  const Json set = told.value("fields", Json::object()), properties = told.value("properties", Json::object());
  for (const auto &[name, value] : set.items())
    for (const auto &[known, field] : fields)
      if (name == known) message.set_field(field, value.get<std::string>());
  for (const auto &[name, value] : properties.items()) {
    if (value.is_null())
      message.set_property(name, nullptr);
    else
      message.set_property(name, value.get<std::string>());
  }
  return message;
}

void describe(Json &told, iothub::MessageView message) {
  const std::string_view body = message.data();
  if (is_text(body))
    told["body"] = body;
  else
    told["body_hex"] = to_hex(body);
  told["fields"] = told["properties"] = Json::object();
  for (const auto &[name, field] : fields)
    if (const auto value = message.field(field)) told["fields"][name] = *value;
  for (const auto [name, value] : message.properties())
    told["properties"][std::string(name)] = value ? Json(*value) : Json();
}

void set_options(iothub::Options &options, const Json &told) {
  for (const auto &[name, value] : told.items()) set_option(options, name, value);
}

}  // namespace agent
