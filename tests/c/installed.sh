#!/usr/bin/env bash
# Installs the library as a distribution would, and builds the same program against what was installed: with
# pkg-config, shared and static, and with CMake as C and C++; one over the C++ header, too. Argument: cargo's target directory.
set -euo pipefail
target=$1
root=$(cd "$(dirname "$0")/../.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
prefix=$work/prefix
cd "$root"

# Built apart from the rest: cargo-c passes flags of its own.
cargo cinstall --locked --profile dev --package iothub-mqtt-ffi --target-dir "$target/capi" \
    --prefix "$prefix" --libdir lib
for file in include/iothub_mqtt.h lib/libiothub_mqtt.so lib/libiothub_mqtt.a lib/pkgconfig/iothub_mqtt.pc \
    share/iothub_mqtt/cmake/iothub_mqtt-config.cmake \
    share/iothub_mqtt/cmake/IoTHubEmulator.cmake; do
    test -s "$prefix/$file" || { echo "not installed: $file"; find "$prefix" -type f; exit 1; }
done
cmp include/iothub_mqtt.h "$prefix/include/iothub_mqtt.h"
diff -r bindings/cpp "$prefix/include" --exclude=README.md --exclude=iothub_mqtt.h
version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -1)
readelf --dynamic "$prefix/lib/libiothub_mqtt.so" | grep -q "SONAME.*\[libiothub_mqtt.so.${version%.*}\]"
readelf --dynamic "$prefix/lib/libiothub_mqtt.so" | grep -q NODELETE
diff <(nm --dynamic --defined-only --format=posix "$prefix/lib/libiothub_mqtt.so" | cut -d ' ' -f 1) ffi/symbols.txt

export PKG_CONFIG_PATH=$prefix/lib/pkgconfig LD_LIBRARY_PATH=$prefix/lib
test "$(pkg-config --modversion iothub_mqtt)" = "$version"
program() { "$1" && echo "ok: $2"; }

# shellcheck disable=SC2046 # the words are meant to be split
cc -std=c11 -Wall -Wextra -Werror tests/c/version.c -o "$work/shared" $(pkg-config --cflags --libs iothub_mqtt)
program "$work/shared" "pkg-config, shared"
ldd "$work/shared" | grep -q "$prefix/lib/libiothub_mqtt.so"

mkdir "$work/only-static"
cp "$prefix/lib/libiothub_mqtt.a" "$work/only-static"
# shellcheck disable=SC2046
cc -std=c11 -Wall -Wextra -Werror tests/c/version.c -o "$work/static" $(pkg-config --cflags iothub_mqtt) \
    -L"$work/only-static" $(pkg-config --static --libs iothub_mqtt | sed "s|-L$prefix/lib||")
program "$work/static" "pkg-config, static"
if ldd "$work/static" | grep libiothub_mqtt; then exit 1; fi

# shellcheck disable=SC2046
c++ -std=c++17 -Wall -Wextra -Werror tests/cpp/version.cpp -o "$work/cpp" $(pkg-config --cflags --libs iothub_mqtt) -pthread
program "$work/cpp" "pkg-config, C++ header"
# shellcheck disable=SC2046
c++ -std=c++17 -Wall -Wextra -Werror -fno-exceptions -fno-rtti tests/cpp/version.cpp -o "$work/cpp-codes" \
    $(pkg-config --cflags --libs iothub_mqtt) -pthread
program "$work/cpp-codes" "pkg-config, C++ header without exceptions"

mkdir "$work/source"
cp tests/c/version.c "$work/source/version.c"
cp tests/c/version.c "$work/source/version.cpp"
cp tests/cpp/version.cpp "$work/source/header.cpp"
cat >"$work/source/CMakeLists.txt" <<'CMAKE'
cmake_minimum_required(VERSION 3.21)
project(installed C CXX)
find_package(iothub_mqtt 0.1 REQUIRED)
add_executable(as_c version.c)
add_executable(as_cpp version.cpp)
add_executable(cpp_header header.cpp)
add_executable(static version.c)
target_link_libraries(as_c iothub_mqtt::iothub_mqtt)
target_link_libraries(as_cpp iothub_mqtt::iothub_mqtt)
target_link_libraries(cpp_header iothub_mqtt::cpp)
target_link_libraries(static iothub_mqtt::static)
CMAKE
cmake -S "$work/source" -B "$work/build" -DCMAKE_PREFIX_PATH="$prefix" >"$work/log" && cmake --build "$work/build" >>"$work/log" ||
    { cat "$work/log"; exit 1; }
for name in as_c as_cpp cpp_header static; do program "$work/build/$name" "CMake, $name"; done

# Somebody else's project with tests that need a hub; and one of them that has to fail.
export IOTHUB_EMULATOR=$target/debug/iothub-emulator
cp -r examples/cmake "$work/tests"
echo 'iothub_emulator_add_test(NAME fails DEVICES gauge-1 COMMAND sh -c "exit 3")' >>"$work/tests/CMakeLists.txt"
{ cmake -S "$work/tests" -B "$work/tests/build" -DCMAKE_PREFIX_PATH="$prefix" && cmake --build "$work/tests/build" &&
    ctest --test-dir "$work/tests/build" --output-on-failure --parallel 2 --exclude-regex fails; } >"$work/log" ||
    { cat "$work/log"; exit 1; }
grep -q "100% tests passed.* out of 2" "$work/log" && echo "ok: CMake, tests with a hub"
if ctest --test-dir "$work/tests/build" --tests-regex fails >"$work/log"; then cat "$work/log"; exit 1; fi
