// Compiled kernels on disk: the same bits with and without, whatever happens to the files.
#include "compiler/codegen/code_cache.h"

#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <filesystem>

#include "compiler/codegen/codegen.h"
#include "ir/parse.h"
#include "tests/support/native.h"
#include "tests/support/temporary_directory.h"

using namespace gradc;
using gradc_test::TemporaryDirectory;
namespace fs = std::filesystem;

namespace {

const char kFunction[] = R"(module @m
entry @f(%x: f32[40,50], %w: f32[30,50]) {
  %y: f32[40,30] = dot(%x, %w) {batch_a=[], batch_b=[], sum_a=[1], sum_b=[1]}
  %e: f32[40,30] = exp(%y)
  %s: f32[40] = reduce_sum(%e) {axes=[1]}
  return %e, %s
}
)";

struct Compilation {
  CodegenOptions options = test::codegen_options();
  Module module = test::planned_module(parse_module(kFunction, "f.ir").functions.at(0), options);
  std::string object(const std::string& cache) {
    options.cache = cache;
    return generate_code(module, options, CodeFormat::object);
  }
};

std::vector<std::string> files_of(const std::string& folder) {
  std::vector<std::string> files;
  for (const fs::directory_entry& file : fs::directory_iterator(folder))
    files.push_back(file.path());
  return files;
}

void age(const std::string& path, int hours) {
  fs::last_write_time(path, fs::file_time_type::clock::now() - std::chrono::hours(hours));
}

}  // namespace

TEST_CASE("an entry is what was inserted under its key", "[cache]") {
  TemporaryDirectory directory;
  CodeCache cache(directory.file("new/cache"));
  std::string key = cache_key("a"), code("\0code\n", 6);
  REQUIRE(key.size() == 64);
  CHECK(key != cache_key("b"));
  CHECK(!cache.find(key));
  CHECK(cache.size().entries == 0);
  cache.insert(key, code);
  CHECK(cache.find(key) == code);
  CHECK(!cache.find(cache_key("b")));
  CHECK(cache.size().entries == 1);
  CHECK(!CodeCache("").find(key));
  CHECK(!cache.find(""));
}

TEST_CASE("a damaged entry is none", "[cache]") {
  TemporaryDirectory directory;
  CodeCache cache(directory.file("cache"));
  std::string key = cache_key("a"), path = directory.file("cache/" + key);
  cache.insert(key, "some code");
  std::string whole = gradc_test::read_text(path);
  for (size_t length = 0; length < whole.size(); ++length) {
    gradc_test::write_text(path, std::string_view(whole).substr(0, length));
    CHECK(!cache.find(key));
  }
  for (size_t at = 0; at < whole.size(); ++at) {
    std::string damaged = whole;
    damaged[at] ^= 4;
    gradc_test::write_text(path, damaged);
    CHECK(!cache.find(key));
  }
  gradc_test::write_text(path, whole + "x");
  CHECK(!cache.find(key));
  cache.insert(key, "some code");
  CHECK(cache.find(key) == "some code");
}

TEST_CASE("the cache keeps its limit and what was used last", "[cache]") {
  TemporaryDirectory directory;
  std::string folder = directory.file("cache"), code(10000, 'c');
  CodeCache cache(folder, 100000);
  std::vector<std::string> keys;
  for (int i = 0; i < 20; ++i) {
    keys.push_back(cache_key("kernel " + std::to_string(i)));
    CodeCache(folder).insert(keys.back(), code);  // an insertion may keep the limit
    age(folder + "/" + keys.back(), 100 - i);
  }
  CHECK(cache.find(keys[0]));  // and so it was used last
  gradc_test::write_text(folder + "/notes.txt", std::string(500000, 'n'));
  age(folder + "/notes.txt", 1000);
  std::string left_behind = folder + "/new.1.2." + keys[0];
  gradc_test::write_text(left_behind, code);
  age(left_behind, 200);
  cache.keep_limit();
  CHECK(cache.size().bytes <= 100000);
  CHECK(cache.size().entries >= 8);
  CHECK(cache.find(keys[0]));
  CHECK(!cache.find(keys[1]));
  CHECK(cache.find(keys[19]));
  CHECK(!fs::exists(left_behind));
  cache.clear();
  CHECK(cache.size().entries == 0);
  CHECK(files_of(folder) == std::vector<std::string>{folder + "/notes.txt"});
}

TEST_CASE("objects are the same bits with a cache, without, and with a damaged one", "[cache]") {
  TemporaryDirectory directory;
  std::string folder = directory.file("cache");
  Compilation compilation;
  std::string plain = compilation.object("");
  CHECK(compilation.object(folder) == plain);
  size_t entries = files_of(folder).size();
  CHECK(entries >= 2);
  CHECK(compilation.object(folder) == plain);
  for (const std::string& file : files_of(folder))
    fs::resize_file(file, fs::file_size(file) / 2);
  CHECK(compilation.object(folder) == plain);
  CHECK(files_of(folder).size() == entries);
  CHECK(compilation.object(folder) == plain);
  for (const std::string& file : files_of(folder))
    gradc_test::write_text(file, "");
  CHECK(compilation.object(folder) == plain);
}

TEST_CASE("a folder that cannot be written is a cache to read, or none", "[cache]") {
  TemporaryDirectory directory;
  std::string folder = directory.file("cache");
  Compilation compilation;
  std::string plain = compilation.object(folder);
  gradc_test::write_text(directory.file("file"), "no folder");
  CHECK(compilation.object(directory.file("file")) == plain);
  CHECK(compilation.object("/proc/none") == plain);
  chmod(folder.c_str(), 0500);
  CHECK(compilation.object(folder) == plain);
  chmod(folder.c_str(), 0700);
}

TEST_CASE("two processes fill one cache", "[cache]") {
  TemporaryDirectory directory;
  std::string folder = directory.file("cache");
  std::string code(300000, 'k');
  auto work = [&](int process) {
    CodeCache cache(folder, 3000000);
    for (int round = 0; round < 60; ++round) {
      std::string key = cache_key(std::to_string(round % 15));
      std::optional<std::string> found = cache.find(key);
      if (found && *found != code)
        return 1;
      cache.insert(key, code);
      if (round % 7 == process)
        cache.keep_limit();
    }
    return 0;
  };
  std::vector<pid_t> children;
  for (int process = 0; process < 3; ++process) {
    pid_t child = fork();
    REQUIRE(child >= 0);
    if (child == 0)
      _exit(work(process));
    children.push_back(child);
  }
  for (pid_t child : children) {
    int status = -1;
    REQUIRE(waitpid(child, &status, 0) == child);
    CHECK(WIFEXITED(status));
    CHECK(WEXITSTATUS(status) == 0);
  }
  CodeCache cache(folder, 3000000);
  cache.keep_limit();
  CHECK(cache.size().bytes <= 3000000);
  CHECK(cache.size().entries > 0);
  for (const std::string& file : files_of(folder))
    CHECK(file.find("/new.") == std::string::npos);
}
