// Twin, desired properties, direct methods and status.
#include "check.hpp"

using iothub::Cause, iothub::Client, iothub::Code, iothub::State, iothub::Status;

int main() {
  Said said, states;
  std::uint64_t late = 0;
  Client client(local());
  client.on_status([&](State state, Cause cause, Status why) {
    CHECK(static_cast<bool>(why) == (*why.detail() == 0));
    states(std::to_string(static_cast<int>(state)) + " " + iothub::name(cause));
  });
  client.on_desired([&](std::string_view json, std::uint64_t version) {
    said(std::string(json) + " " + std::to_string(version));
  });
  client.on_method([&](std::string_view name, std::string_view json, std::uint64_t request) {
    if (name == "echo") {
      throws(Code::argument, "json", [&] { client.respond(request, 200, "{"); });
      throws(Code::argument, "status: -1", [&] { client.respond(request, -1); });
      client.respond(request, 200, json);
      throws(Code::not_found, "answered", [&] { client.respond(request, 200); });
    } else {
      CHECK(json.empty());
      late = request;
      said(std::string(name));
    }
  });
  get(client.connect());
  states.expect("1 none");
  states.expect("2 none");
  said.expect("{\"interval\":5} 2");

  CHECK(get(client.twin_get()).find("\"interval\":5") != std::string::npos);
  CHECK(get(client.twin_patch(std::string("{\"interval\":5}"))) == 2);
  std::future<std::uint64_t> refused = client.twin_patch("{\"a.b\":5}");
  throws(Code::rejected, "400", [&] { get(std::move(refused)); });
  throws(Code::argument, "json: must be an object", [&] { (void)client.twin_patch("[1]"); });
  client.twin_get([&](Status status, std::string_view json) {
    said(status && json.find("\"interval\":5") != json.npos ? "twin" : status.detail());
  });
  said.expect("twin");
  client.twin_patch("{\"n\":null}", [&](Status status, std::uint64_t version) {
    said(std::string(status.name()) + " " + std::to_string(version));
  });
  said.expect("IOTHUB_OK 3");

  say("methods");  // the runner calls "echo", then "late"
  said.expect("late");
  client.respond(late, 202);
  hear("cut");  // it has cut the connection, and changed a property
  const bool reset = states.next() == "1 connection_reset";
  states.expect("2 none");
  said.expect("{\"interval\":7} 3");
  CHECK(client.disconnects(reset ? Cause::connection_reset : Cause::closed_by_hub) == 1);

  client.on_method(nullptr);
  say("no handler");
  hear("end");
  get(client.close(60s));
  states.expect("0 closed_by_us");
  states.expect("3 closed_by_us");
  CHECK(said.nothing());
  return 0;
}
