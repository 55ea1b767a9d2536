// An exception that leaves a callable ends the program.
#include <exception>

#include "check.hpp"

int main() {
  iothub::Client client(local());
  std::set_terminate([] {
    say("terminated");
    _Exit(0);
  });
  client.on_status([](iothub::State, iothub::Cause, iothub::Status) { throw std::runtime_error("out of a handler"); });
  std::future<void> connected = client.connect();
  connected.wait_for(PATIENCE);
  return 1;
}
