// The doctor tells every check once, and fails with what failed.

#include "check.hpp"

using iothub::Check, iothub::Code, iothub::Finding, iothub::Verdict;

int main() {
  std::vector<Check> order;
  iothub::Options options = local();
  iothub::doctor(options, [&](const Finding &finding) {
    CHECK(finding.verdict != Verdict::failed && finding.code == Code::ok && !finding.detail.empty());
    order.push_back(finding.check);
  });
  CHECK(order.size() == 8 && order.front() == Check::options && order.back() == Check::credentials);
  CHECK(std::string(iothub::name(Check::tls)) == "tls");

  options.set_sas_key("d3Jvbmctc2VjcmV0");
  int failed = 0;
  throws(Code::auth, "primary or secondary key", [&] {
    iothub::doctor(options, [&](const Finding &finding) { failed += finding.verdict == Verdict::failed; });
  });
  CHECK(failed == 1);
}
