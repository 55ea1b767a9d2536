// The agent of C++: does what the lines on its standard input say, with one client per name, and tells
// on its standard output what it was told.
#include <atomic>
#include <iostream>
#include <map>
#include <mutex>
#include <string>

#include <iothub_mqtt.hpp>

#include "codec.hpp"
#include "vault.hpp"

namespace {

using agent::Json;
using agent::say;

std::map<std::string, iothub::Client> clients;
/// Callables that the library has not destroyed; all of them hold one of these.
std::atomic<int> living{0};

/// What a callable is about.
struct About {
  explicit About(std::string name) : client(std::move(name)) { ++living; }
  About(About &&other) noexcept : client(std::move(other.client)) { ++living; }
  ~About() { --living; }
  Json event(const char *kind) const { return {{"event", kind}, {"client", client}}; }
  std::string client;
};

/// How an operation ended.
auto done(const std::string &client, const Json &command) {
  return [about = About(client), id = command.at("id")](iothub::Status status, auto... result) {
    Json told = about.event("done");
    told["id"] = id;
    told["status"] = agent::word(status);
    told["detail"] = status.detail();
    if (status) agent::add_result(told, result...);
    say(told);
  };
}

bool has_handler(const Json &command) {
  return command.value("on", false) || command.value("ack", "off") != "off";
}

iothub::Ack ack(const Json &command) {
  return command.value("ack", "later") == "now" ? iothub::Ack::now : iothub::Ack::later;
}

void on_message(iothub::Client &client, const std::string &name, const Json &command) {
  if (!has_handler(command)) return client.on_message(nullptr);
  client.on_message([about = About(name), ack = ack(command)](iothub::MessageView message, std::uint64_t delivery) {
    Json told = about.event("message");
    agent::describe(told, message);
    told["delivery"] = delivery;
    say(told);
    return ack;
  });
}

void on_input(iothub::Client &client, const std::string &name, const Json &command) {
  if (!has_handler(command)) return client.on_input(nullptr);
  client.on_input([about = About(name), ack = ack(command)](std::string_view input, iothub::MessageView message,
                                                            std::uint64_t delivery) {
    Json told = about.event("input");
    agent::describe(told, message);
    told["input"] = input;
    told["delivery"] = delivery;
    say(told);
    return ack;
  });
}

void on_method(iothub::Client &client, const std::string &name, const Json &command) {
  if (!has_handler(command)) return client.on_method(nullptr);
  client.on_method([about = About(name), &client, status = command.value("status", -1),
                    answer = command.value("json", "")](std::string_view method, std::string_view json,
                                                        std::uint64_t request) {
    Json told = about.event("method");
    told["name"] = method;
    told["json"] = json;
    told["request"] = request;
    say(told);
    if (status < 0) return;
    try {
      client.respond(request, status, answer);
    } catch (const iothub::Error &error) {
      Json failed = about.event("failed");
      failed["detail"] = error.detail();
      say(failed);
    }
  });
}

void on_desired(iothub::Client &client, const std::string &name, const Json &command) {
  if (!has_handler(command)) return client.on_desired(nullptr);
  client.on_desired([about = About(name)](std::string_view json, std::uint64_t version) {
    Json told = about.event("desired");
    told["json"] = json;
    told["version"] = version;
    say(told);
  });
}

void add_client(const std::string &name, const Json &command) {
  iothub::Options options;
  agent::set_options(options, command.at("options"));
  iothub::Client client(options);
  client.on_status([about = About(name)](iothub::State state, iothub::Cause cause, iothub::Status status) {
    static const char *const states[] = {"disconnected", "connecting", "connected", "closed"};
    Json told = about.event("state");
    told["state"] = states[static_cast<int>(state)];
    told["cause"] = iothub::name(cause);
    told["status"] = agent::word(status);
    told["detail"] = status.detail();
    say(told);
  });
  clients.emplace(name, std::move(client));
}

Json stats(const iothub::Client &client) {
  using iothub::Stat;
  Json told;
  for (auto [name, stat] : {std::pair("sent", Stat::sent), std::pair("acknowledged", Stat::acknowledged),
                            std::pair("resent", Stat::resent), std::pair("expired", Stat::expired),
                            std::pair("dropped", Stat::dropped), std::pair("queued", Stat::queued),
                            std::pair("queued_bytes", Stat::queued_bytes),
                            std::pair("connections", Stat::connections)})
    told[name] = client.stats(stat);
  told["timed"] = client.stats(Stat::last_round_trip_us) > 0;
  told["disconnects"] = Json::object();
  for (auto number = IOTHUB_CAUSE_DNS; number <= IOTHUB_CAUSE_CONFIGURATION; ++number) {
    const auto cause = static_cast<iothub::Cause>(number);
    if (const auto count = client.disconnects(cause)) told["disconnects"][iothub::name(cause)] = count;
  }
  return told;
}

Json obey(const Json &command) {
  const std::string action = command.at("do"), name = command.value("client", "");
  if (action == "sync" || action == "end") return Json::object();
  if (action == "new") return add_client(name, command), Json::object();
  iothub::Client &client = clients.at(name);
  if (action == "free") return clients.erase(name), Json::object();
  if (action == "stats") return stats(client);
  if (action == "connect") {
    client.connect(done(name, command));
  } else if (action == "close") {
    client.close(std::chrono::milliseconds(command.at("timeout_ms").get<std::int64_t>()), done(name, command));
  } else if (action == "send") {
    client.send(agent::message(command.at("message")), done(name, command));
  } else if (action == "on_message") {
    on_message(client, name, command);
  } else if (action == "on_input") {
    on_input(client, name, command);
  } else if (action == "ack") {
    client.ack(command.at("delivery").get<std::uint64_t>());
  } else if (action == "on_method") {
    on_method(client, name, command);
  } else if (action == "respond") {
    client.respond(command.at("request").get<std::uint64_t>(), command.at("status").get<std::int32_t>(),
                   command.value("json", ""));
  } else if (action == "twin_get") {
    client.twin_get(done(name, command));
  } else if (action == "twin_patch") {
    client.twin_patch(command.value("json", ""), done(name, command));
  } else if (action == "on_desired") {
    on_desired(client, name, command);
  } else {
    throw std::out_of_range("the agent does not know " + action);
  }
  return Json::object();
}

}  // namespace

int main() {
  std::string line;
  bool more = true;
  while (more && std::getline(std::cin, line)) {
    const Json command = Json::parse(line);
    if (command.at("do") == "signed") {
      agent::Vault::signed_(command);
      continue;
    }
    more = command.at("do") != "end";
    try {
      say({{"ok", obey(command)}});
    } catch (const iothub::Error &error) {
      say({{"error", {{"status", agent::word(iothub::name(error.code()))}, {"detail", error.detail()}}}});
    } catch (const std::exception &error) {
      say({{"error", {{"status", "UNSUPPORTED"}, {"detail", error.what()}}}});
    }
  }
  clients.clear();
  // Every callable was destroyed.
  return living == 0 ? 0 : 3;
}
