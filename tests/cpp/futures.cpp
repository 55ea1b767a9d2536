// Completions as futures and as callables, and failures as exceptions.
#include "check.hpp"

using iothub::Client, iothub::Code, iothub::Message, iothub::Options, iothub::Status;

namespace {

void refusals() {
  Options options;
  throws(Code::argument, "port: 0", [&] { options.set_port(0); });
  throws(Code::argument, "keep_alive: 4294967295", [&] { options.set_keep_alive(std::chrono::seconds::max()); });
  throws(Code::argument, "ping_timeout: 0", [&] { options.set_ping_timeout(-1s); });
  throws(Code::argument, "identity", [&] { Client client(options); });
  throws(Code::argument, "DeviceId", [] { Options wrong("HostName=localhost"); });
  Message message("{}");
  message.set_property("ok", std::string("v"));
  throws(Code::argument, "$", [&] { message.set_property("$x", "v"); });
  throws(Code::argument, "UTF-8", [&] { message.set_property("cut", std::string("a\0b", 3)); });
  CHECK(message.view().properties().size() == 1);
}

// What ends after the client.
void outlives() {
  auto client = std::make_unique<Client>(local());
  std::future<void> sent = client->send(Message("never sent"));
  CHECK(client->queued().messages == 1 && client->queued().bytes > 0);
  std::future<std::string> twin = client->twin_get();
  std::future<std::uint64_t> patched = client->twin_patch("{}");
  client.reset();
  throws(Code::closed, "", [&] { sent.get(); });
  throws(Code::closed, "", [&] { twin.get(); });
  throws(Code::closed, "", [&] { patched.get(); });
}

void wrong_key() {
  Options options = local();
  options.set_sas_key("AAAA");
  Client client(options);
  std::future<void> connected = client.connect();
  throws(Code::auth, "CONNACK 5", [&] { get(std::move(connected)); });
}

}  // namespace

int main() {
  refusals();
  outlives();
  wrong_key();

  Said said;
  Client client(local());
  get(client.connect());
  throws(Code::state, "", [&] { (void)client.connect(); });
  Message message(std::string("first"));
  message.set_field(iothub::Field::content_type, "text/plain");
  get(client.send(message));
  client.send(message, [&](Status status) { said(std::string(status.name()) + status.detail()); });
  said.expect("IOTHUB_OK");
  client.send(message, nullptr);
  throws(Code::too_large, "bytes", [&] { (void)client.send(Message(std::string(300000, 'x'))); });
  throws(Code::too_large, "bytes", [&] {
    client.send(Message(std::string(300000, 'x')), [&](Status) { said("of a call that was refused"); });
  });

  // A future that is dropped waits for nothing.
  { std::future<void> nobody_waits = client.send(message); }

  Client moved = std::move(client);
  throws(Code::argument, "client", [&] { client.ack(1); });  // NOLINT: moved from on purpose
  client = std::move(moved);
  get(client.send(message));
  get(client.close(60s));
  throws(Code::closed, "", [&] { (void)client.send(message); });
  CHECK(client.stats(iothub::Stat::acknowledged) == 5);
  CHECK(client.disconnects(iothub::Cause::dns) == 0);
  throws(Code::argument, "", [&] { (void)client.disconnects(iothub::Cause::none); });
  CHECK(said.nothing());
  CHECK(iothub::version() == IOTHUB_VERSION);
  return 0;
}
