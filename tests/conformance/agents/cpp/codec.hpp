// Between JSON and what the library takes and gives.
#ifndef AGENT_CODEC_HPP
#define AGENT_CODEC_HPP

#include <cstdint>
#include <string>
#include <string_view>

#include <iothub_mqtt.hpp>
#include <nlohmann/json.hpp>

namespace agent {

using Json = nlohmann::json;

/// Prints one line, whole whatever other threads say.
void say(const Json &line);

/// The name of a status without its prefix.
std::string_view word(std::string_view name);
inline std::string_view word(iothub::Status status) { return word(status.name()); }

/// What an operation brought.
inline void add_result(Json &) {}
inline void add_result(Json &told, std::string_view twin) { told["twin"] = twin; }
inline void add_result(Json &told, std::uint64_t version) { told["version"] = version; }

std::string from_hex(const std::string &digits);
std::string to_hex(std::string_view bytes);

/// A message with its fields and properties.
iothub::Message message(const Json &told);
/// Adds body, fields and properties to an event.
void describe(Json &told, iothub::MessageView message);
/// Sets every option that the object names.
void set_options(iothub::Options &options, const Json &told);

}  // namespace agent
#endif
