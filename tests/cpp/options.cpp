// Every setter reaches the option of its name: an argument that is out of range is refused by that name.
#include "check.hpp"

using iothub::Code, iothub::Message, iothub::Options;

namespace {

void refused() {
  Options o;
  const auto far = std::chrono::hours(1000000);
  throws(Code::argument, "must not be empty", [&] { o.set_connection_string(""); });
  throws(Code::argument, "HostName", [&] { o.set_identity("a/b", "d"); });
  throws(Code::argument, "DeviceId", [&] { o.set_identity("localhost", ""); });
  throws(Code::argument, "ModuleId", [&] { o.set_identity("localhost", "d", ""); });
  throws(Code::argument, "SharedAccessKey", [&] { o.set_sas_key("?"); });
  throws(Code::argument, "sr", [&] { o.set_sas_token("SharedAccessSignature sig=A"); });
  throws(Code::argument, "sas_life", [&] { o.set_sas_life(far); });
  throws(Code::argument, "certificate", [&] { o.set_x509("x", std::string("y")); });
  throws(Code::argument, "trusted_roots", [&] { o.set_trusted_roots("x"); });
  throws(Code::argument, "proxy", [&] { o.set_proxy("no url"); });
  throws(Code::argument, "local_address", [&] { o.set_local_address("no address"); });
  throws(Code::argument, "interface", [&] { o.set_interface(""); });
  throws(Code::argument, "transport", [&] { o.set_transport(static_cast<iothub::Transport>(7)); });
  throws(Code::argument, "gateway", [&] { o.set_gateway("a/b"); });
  throws(Code::argument, "port", [&] { o.set_port(0); });
  throws(Code::argument, "keep_alive", [&] { o.set_keep_alive(far); });
  throws(Code::argument, "ping_timeout", [&] { o.set_ping_timeout(far); });
  throws(Code::argument, "stall_timeout", [&] { o.set_stall_timeout(far); });
  throws(Code::argument, "connect_timeout", [&] { o.set_connect_timeout(far); });
  throws(Code::argument, "backoff_first", [&] { o.set_backoff(0s, 1s); });
  throws(Code::argument, "backoff_most", [&] { o.set_backoff(1s, far); });
  throws(Code::argument, "slow_backoff_first", [&] { o.set_slow_backoff(0s, 1s); });
  throws(Code::argument, "slow_backoff_most", [&] { o.set_slow_backoff(1s, far); });
  throws(Code::argument, "queue_messages", [&] { o.set_queue_limits(0, 2000); });
  throws(Code::argument, "queue_bytes", [&] { o.set_queue_limits(1, 0); });
  throws(Code::argument, "in_flight", [&] { o.set_in_flight(0); });
  throws(Code::argument, "time_to_live", [&] { o.set_time_to_live(far); });
  throws(Code::argument, "request_timeout", [&] { o.set_request_timeout(far); });
  throws(Code::argument, "qos", [&] { o.set_will(Message("w"), 2); });
  throws(Code::argument, "model_id", [&] { o.set_model_id("x"); });
}

void taken() {
  Options o = local();
  o.set_proxy("http://localhost:1");
  o.set_proxy(nullptr);
  o.set_transport(iothub::Transport::websocket);
  o.set_transport(iothub::Transport::mqtt);
  o.set_keep_alive(20s);
  o.set_ping_timeout(10s);
  o.set_stall_timeout(10s);
  o.set_connect_timeout(20s);
  o.set_queue_limits(10, 20000);
  o.set_in_flight(1);
  o.set_time_to_live(0s);
  o.set_request_timeout(30s);
  o.set_will(Message("w"), 1);
  o.set_model_id("dtmi:com:example:Thermostat;1");
  o.set_local_address("127.0.0.1");
  Options moved = std::move(o);
  throws(Code::argument, "options", [&] { o.set_port(1); });  // NOLINT: moved from on purpose
  iothub::Client client(moved);
  get(client.connect());
}

void from_the_environment() {
  setenv("https_proxy", "ftp://localhost", 1);
  throws(Code::argument, "https_proxy", [] { Options().set_proxy_from_environment(); });
  unsetenv("https_proxy");
}

}  // namespace

int main() {
  from_the_environment();
  refused();
  taken();
  return 0;
}
