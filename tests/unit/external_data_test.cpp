#include "compiler/import/onnx/external_data.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <filesystem>

#include "compiler/import/onnx/onnx_file.h"
#include "ir/diagnostic.h"
#include "tests/support/onnx_messages.h"
#include "tests/support/temporary_directory.h"

using namespace gradc;
using namespace gradc::onnx;
using namespace gradc_test;

namespace fs = std::filesystem;

namespace {

// A model's folder, in a folder of its own so that there is something above it.
struct Folder {
  TemporaryDirectory top;
  std::string path = top.file("model");

  Folder() {
    fs::create_directories(path + "/sub/deeper");
    write_text(top.file("secret"), "top secret");
    write_text(file("w.bin"), "0123456789");
    write_text(file("sub/deeper/w.bin"), "abcdefghij");
  }
  std::string file(const std::string& name) const { return path + "/" + name; }

  // What opening says, which must be the same for both ways of walking; "" when it opens.
  std::string error(const std::string& location) const {
    std::string best = error(location, PathWalk::best);
    CHECK(error(location, PathWalk::by_folder) == best);
    return best;
  }
  std::string error(const std::string& location, PathWalk walk) const {
    Descriptor folder(open(path.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    REQUIRE(folder);
    try {
      open_below(folder, location, walk);
    } catch (const UserError& error) {
      return error.message();
    }
    return "";
  }
};

// A model with one tensor of 8 bytes that lies at `location`; "" for an entry leaves it out.
std::string model_at(const std::string& location, const std::string& offset = "",
                     const std::string& length = "", int element_type = 1) {
  Fields tensor = tensor_head("w", element_type, {2});
  for (const auto& [key, value] :
       {std::pair{"location", location}, {"offset", offset}, {"length", length}})
    if (!value.empty())
      tensor.bytes(tensor_proto::external_data,
                   Fields().bytes(entry_proto::key, key).bytes(entry_proto::value, value));
  tensor.integer(tensor_proto::data_location, 1);
  return model_of_tensors({tensor});
}

std::string bytes_of_model(const Folder& folder, const std::string& model) {
  write_text(folder.file("m.onnx"), model);
  Model read = read_onnx(folder.file("m.onnx"));
  const Tensor& tensor = read.graph.initializers.at(0);
  return {reinterpret_cast<const char*>(tensor.data.bytes.data()), tensor.data.bytes.size()};
}

std::string error_of_model(const Folder& folder, const std::string& model) {
  try {
    bytes_of_model(folder, model);
  } catch (const UserError& error) {
    CHECK(error.place() == folder.file("m.onnx") + ": tensor \"w\"");
    return error.message();
  }
  return "";
}

}  // namespace

TEST_CASE("external data lie below the model's folder, however the path is spelt", "[onnx]") {
  Folder folder;
  for (const char* location : {"w.bin", "./w.bin", "sub/deeper/w.bin", "sub//deeper/./w.bin"})
    CHECK(folder.error(location) == "");
  CHECK(bytes_of_model(folder, model_at("w.bin")) == "01234567");
  CHECK(bytes_of_model(folder, model_at("./w.bin", "2")) == "23456789");
  CHECK(bytes_of_model(folder, model_at("sub/deeper/w.bin", "1", "8")) == "bcdefghi");
}

TEST_CASE("a location that leads out of the folder is refused before anything is opened",
          "[onnx]") {
  Folder folder;
  // A folder of this name that must not be walked into.
  fs::create_directories(folder.file("a/b"));
  for (const char* location : {"..", "../secret", "sub/../w.bin", "sub/..", "a/../../secret",
                               "./../secret", "sub/../../secret", "a//..//../secret"})
    CHECK(folder.error(location) ==
          fmt::format("has external data at \"{}\", a path with `..`; only files below the "
                      "model's folder are read",
                      location));
  for (const std::string& location :
       {std::string("/etc/passwd"), folder.file("w.bin"), std::string("//w.bin")})
    CHECK(folder.error(location) ==
          fmt::format("has external data at \"{}\", an absolute path; only files below the model's "
                      "folder are read",
                      location));
  CHECK(folder.error("") == "has external data without a location");
  CHECK(folder.error(std::string("w.bin\0.txt", 10)) ==
        "has external data at \"w.bin\\x00.txt\", a path with a zero byte");
  // Two dots within a name are none.
  write_text(folder.file("..w..bin"), "0123456789");
  CHECK(folder.error("..w..bin") == "");
}

TEST_CASE("links are not followed", "[onnx]") {
  Folder folder;
  fs::create_symlink("w.bin", folder.file("inside"));
  fs::create_symlink("../secret", folder.file("outside"));
  fs::create_symlink("nowhere", folder.file("dangling"));
  fs::create_directory_symlink("sub", folder.file("linked"));
  fs::create_directory_symlink("..", folder.file("sub/up"));
  fs::create_symlink("/proc/self/root", folder.file("root"));
  for (const char* location : {"inside", "outside", "dangling", "linked/deeper/w.bin",
                               "sub/up/w.bin", "root/etc/passwd", "./inside"})
    CHECK(folder.error(location) ==
          fmt::format("has external data at \"{}\", a path through a symbolic link; links are not "
                      "followed",
                      location));
  fs::create_hard_link(folder.top.file("secret"), folder.file("hard"));
  CHECK(folder.error("hard") ==
        "has external data at \"hard\", a file with 2 names (hard links); it must have one");
  // The folder itself may be reached through one.
  fs::create_directory_symlink("model", folder.top.file("alias"));
  write_text(folder.file("m.onnx"), model_at("w.bin"));
  CHECK(read_onnx(folder.top.file("alias/m.onnx")).graph.initializers.at(0).data.bytes.size() == 8);
}

TEST_CASE("only regular files are read, without waiting for others", "[onnx]") {
  Folder folder;
  REQUIRE(mkfifo(folder.file("pipe").c_str(), 0600) == 0);
  CHECK(folder.error("pipe") ==
        "has external data at \"pipe\", which is a pipe; a regular file is needed");
  CHECK(folder.error("sub") ==
        "has external data at \"sub\", which is a directory; a regular file is needed");
  for (const char* location : {".", "sub/", "sub/deeper/."})
    CHECK_THAT(folder.error(location), Catch::EndsWith("which is a directory; a regular file is "
                                                       "needed"));
  CHECK(folder.error("missing") ==
        "has external data at \"missing\", which cannot be opened: No such file or directory");
  CHECK(folder.error("missing/w.bin") ==
        "has external data at \"missing/w.bin\", which cannot be opened: No such file or "
        "directory");
  CHECK(folder.error("w.bin/x") ==
        "has external data at \"w.bin/x\", which cannot be opened: Not a directory");
  CHECK_THAT(folder.error("w.bin/"), Catch::EndsWith("which cannot be opened: Not a directory"));
  CHECK_THAT(folder.error(std::string(300, 'x')),
             Catch::EndsWith("which cannot be opened: File name too long"));

  int server = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  std::string path = folder.file("socket");
  REQUIRE(path.size() < sizeof address.sun_path);
  path.copy(address.sun_path, path.size());
  REQUIRE(bind(server, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
  CHECK_THAT(folder.error("socket"),
             Catch::EndsWith("which cannot be opened: No such device or address"));
  close(server);
}

TEST_CASE("ranges of external data lie within their file", "[onnx]") {
  Folder folder;
  const std::string limit = "18446744073709551615";
  CHECK(error_of_model(folder, model_at("w.bin", "2", "8")) == "");
  CHECK(error_of_model(folder, model_at("w.bin", "3")) ==
        "has external data of 8 bytes at \"w.bin\" from byte 3, but this file has 10 bytes");
  CHECK(error_of_model(folder, model_at("w.bin", "3", "8")) ==
        "has external data of 8 bytes at \"w.bin\" from byte 3, but this file has 10 bytes");
  CHECK(error_of_model(folder, model_at("w.bin", "11", "0")) ==
        "has external data of 0 bytes at \"w.bin\" from byte 11, but this file has 10 bytes");
  for (const auto& [offset, length] : {std::pair{limit, std::string("8")},
                                       {std::string("8"), limit},
                                       {limit, limit},
                                       {std::string("18446744073709551608"), std::string("16")}})
    CHECK(error_of_model(folder, model_at("w.bin", offset, length)) ==
          fmt::format("has external data of {} bytes at \"w.bin\" from byte {}, but this file has "
                      "10 bytes",
                      length, offset));
  for (const char* number : {"18446744073709551616", "-1", "+1", " 1", "1 ", "0x1", "1e3", "one"})
    CHECK(error_of_model(folder, model_at("w.bin", number)) ==
          fmt::format("has external data with the offset \"{}\"; a natural number below 2^64 is "
                      "needed",
                      number));
  CHECK(error_of_model(folder, model_at("w.bin", "", "-8")) ==
        "has external data with the length \"-8\"; a natural number below 2^64 is needed");
  CHECK(error_of_model(folder, model_at("w.bin", "0", "4")) ==
        "has 4 bytes in external data, FLOAT[2] needs 8");
  CHECK(error_of_model(folder, model_at("", "0", "8")) == "has external data without a location");
}

TEST_CASE("external data that nobody reads are checked as well", "[onnx]") {
  Folder folder;
  // UINT32, which no tensor of ours has.
  CHECK(error_of_model(folder, model_at("w.bin", "", "8", 12)) == "");
  CHECK_THAT(error_of_model(folder, model_at("../secret", "", "8", 12)),
             Catch::Contains("a path with `..`"));
  // In an attribute of a kind that no op has.
  std::string tensor =
      Fields(tensor_head("w", 1, {2}))
          .bytes(
              tensor_proto::external_data,
              Fields().bytes(entry_proto::key, "location").bytes(entry_proto::value, "../secret"))
          .integer(tensor_proto::data_location, 1);
  for (uint32_t field : {attribute_proto::t, attribute_proto::tensors})
    CHECK_THAT(
        error_of_model(
            folder,
            model_of(Fields().bytes(
                graph_proto::node,
                Fields()
                    .bytes(node_proto::op_type, "A")
                    .bytes(node_proto::attribute,
                           Fields().bytes(attribute_proto::name, "a").bytes(field, tensor))))),
        Catch::Contains("a path with `..`"));
}
