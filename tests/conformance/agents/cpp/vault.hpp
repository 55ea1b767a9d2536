// Signatures from somewhere else: here from whoever reads what the agent says.
#ifndef AGENT_VAULT_HPP
#define AGENT_VAULT_HPP

#include <cstdint>
#include <future>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "codec.hpp"

namespace agent {

class Vault {
 public:
  /// Asks for the signature by the name of its key, and blocks until it is there.
  static std::string sign(const std::string &key, std::string_view data) {
    std::promise<std::string> promise;
    std::future<std::string> signature = promise.get_future();
    Json told = {{"event", "sign"}, {"key", key}, {"data", to_hex(data)}};
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      told["id"] = ++last_;
      waiting_.emplace(last_, std::move(promise));
    }
    say(told);
    return signature.get();
  }
  /// A signature has come.
  static void signed_(const Json &command) {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (auto found = waiting_.extract(command.at("id").get<std::uint64_t>()))
      found.mapped().set_value(from_hex(command.at("signature")));
  }

 private:
  inline static std::mutex mutex_;
  inline static std::map<std::uint64_t, std::promise<std::string>> waiting_;
  inline static std::uint64_t last_ = 0;
};

}  // namespace agent
#endif
