#include "runtime/file.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <string>

#include "tests/support/temporary_directory.h"

using namespace gradc;
using gradc_test::read_text;
using gradc_test::TemporaryDirectory;
using gradc_test::write_text;

namespace {

FileStatus write_file(const std::string& path, std::string_view text) {
  AtomicFile file(path);
  file.write(text);
  return file.commit();
}

// For a scope, no file may grow beyond some bytes: what a full disk looks like to a writer.
class FileSizeLimit {
 public:
  explicit FileSizeLimit(rlim_t bytes) : handler_(signal(SIGXFSZ, SIG_IGN)) {
    getrlimit(RLIMIT_FSIZE, &before_);
    rlimit limit = {bytes, before_.rlim_max};
    setrlimit(RLIMIT_FSIZE, &limit);
  }
  ~FileSizeLimit() {
    setrlimit(RLIMIT_FSIZE, &before_);
    signal(SIGXFSZ, handler_);
  }

 private:
  rlimit before_;
  sighandler_t handler_;
};

}  // namespace

TEST_CASE("an atomic file appears whole, replaces, and leaves nothing beside it", "[file]") {
  TemporaryDirectory directory;
  std::string path = directory.file("weights");
  REQUIRE(write_file(path, "one").ok());
  CHECK(read_text(path) == "one");
  REQUIRE(write_file(path, "and two").ok());
  CHECK(read_text(path) == "and two");
  CHECK(directory.entries() == 1);
  {
    AtomicFile abandoned(path);
    abandoned.write("three");
    CHECK(directory.entries() == 2);
  }
  CHECK(read_text(path) == "and two");
  CHECK(directory.entries() == 1);
}

TEST_CASE("an atomic file has the mode that the umask leaves", "[file]") {
  TemporaryDirectory directory;
  mode_t before = umask(027);
  bool written = write_file(directory.file("weights"), "x").ok();
  umask(before);
  REQUIRE(written);
  struct stat about;
  REQUIRE(stat(directory.file("weights").c_str(), &about) == 0);
  CHECK((about.st_mode & 0777) == 0640);
}

TEST_CASE("what a link points to is replaced, not the link", "[file]") {
  TemporaryDirectory directory;
  write_text(directory.file("target"), "old");
  std::filesystem::create_symlink("target", directory.file("latest"));
  REQUIRE(write_file(directory.file("latest"), "new").ok());
  CHECK(std::filesystem::is_symlink(directory.file("latest")));
  CHECK(read_text(directory.file("target")) == "new");
}

TEST_CASE("a name already taken by a leftover does not stop a write", "[file]") {
  TemporaryDirectory directory;
  std::string path = directory.file("weights");
  write_text(path + ".tmp-" + std::to_string(getpid()) + "-0", "leftover");
  REQUIRE(write_file(path, "new").ok());
  CHECK(read_text(path) == "new");
}

TEST_CASE("a full disk leaves the old file and no other", "[file]") {
  TemporaryDirectory directory;
  std::string path = directory.file("weights");
  REQUIRE(write_file(path, "old").ok());
  FileStatus status;
  {
    FileSizeLimit limit(100);
    status = write_file(path, std::string(1000, 'x'));
  }
  CHECK(status.code == GRADC_IO_ERROR);
  CHECK(status.text() == path + ": cannot write: File too large");
  CHECK(read_text(path) == "old");
  CHECK(directory.entries() == 1);
}

TEST_CASE("places that cannot be written are named with the reason", "[file]") {
  TemporaryDirectory directory;
  write_text(directory.file("plain"), "x");
  auto message = [&](const std::string& name) {
    FileStatus status = write_file(name, "y");
    CHECK(status.code == GRADC_IO_ERROR);
    return status.text();
  };
  std::string missing = directory.file("none/weights"), below = directory.file("plain/weights");
  CHECK(message(missing) == missing + ": cannot create: No such file or directory");
  CHECK(message(below) == below + ": cannot create: Not a directory");
  CHECK(message(directory.file("")) == std::filesystem::canonical(directory.file("")).string() +
                                           ": is a directory, a file name is needed");
  CHECK(message("/dev/null") == "/dev/null: is not a regular file");
}

TEST_CASE("files are read whole, up to a limit", "[file]") {
  TemporaryDirectory directory;
  std::string path = directory.file("data");
  write_text(path, std::string(1000, 'a'));
  FileBytes file = read_file(path, 1000);
  REQUIRE(file.status.ok());
  CHECK(file.size == 1000);
  CHECK(file.bytes().back() == std::byte{'a'});
  CHECK(read_file(path, 999).status.text() == path + ": has 1000 bytes, at most 999 are read");
  CHECK(read_file(directory.file("none")).status.text() ==
        directory.file("none") + ": cannot open: No such file or directory");
  CHECK(read_file("/dev/zero").status.text() == "/dev/zero: is not a regular file");
  CHECK(read_file("/").status.text() == "/: is a directory, a file is needed");
  write_text(path, "");
  CHECK(read_file(path).status.ok());
}
