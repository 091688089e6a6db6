#include "tools/io/inflate.h"

#include <zlib.h>

#include <algorithm>
#include <limits>
#include <utility>

#include "ir/diagnostic.h"

namespace gradc {

struct Inflater::Stream {
  z_stream z = {};
  std::span<const std::byte> rest;  // input that zlib has not been shown yet
  bool ended = false;
};

Inflater::Inflater(std::span<const std::byte> input, Form form, std::string place)
    : stream_(std::make_unique<Stream>()), place_(std::move(place)) {
  constexpr int kWindow = 15, kGzip = 16;  // a negative window means a raw stream
  stream_->rest = input;
  int status = inflateInit2(&stream_->z, form == Form::raw ? -kWindow : kWindow + kGzip);
  GRADC_CHECK(status == Z_OK, "zlib does not start: {}", status);
}

Inflater::~Inflater() {
  inflateEnd(&stream_->z);
}

size_t Inflater::fill(std::span<std::byte> to) {
  constexpr size_t kMost = std::numeric_limits<uInt>::max();  // zlib counts in 32 bits
  z_stream& z = stream_->z;
  size_t done = 0;
  while (done < to.size() && !stream_->ended) {
    if (z.avail_in == 0) {
      auto piece = stream_->rest.first(std::min(stream_->rest.size(), kMost));
      // zlib's interface predates const; it does not write to its input.
      z.next_in = reinterpret_cast<Bytef*>(const_cast<std::byte*>(piece.data()));
      z.avail_in = static_cast<uInt>(piece.size());
      stream_->rest = stream_->rest.subspan(piece.size());
    }
    z.next_out = reinterpret_cast<Bytef*>(to.data() + done);
    auto room = static_cast<uInt>(std::min(to.size() - done, kMost));
    z.avail_out = room;
    int status = inflate(&z, Z_NO_FLUSH);
    done += room - z.avail_out;
    stream_->ended = status == Z_STREAM_END;
    if (status == Z_BUF_ERROR)  // no more input, and the stream has not ended
      break;
    if (status != Z_OK && status != Z_STREAM_END)
      throw UserError(place_, fmt::format("its compressed data are damaged: {}",
                                          z.msg ? z.msg : zError(status)));
  }
  return done;
}

std::vector<std::byte> Inflater::read(size_t size) {
  std::vector<std::byte> out(size);
  size_t done = fill(out);
  if (done != size)
    throw UserError(place_,
                    fmt::format("its compressed data end after {} of {} bytes", done, size));
  return out;
}

void Inflater::expect_end() {
  std::byte beyond[1];
  if (fill(beyond) != 0)
    throw UserError(place_, "it holds more data than its header says");
  if (!stream_->ended)
    throw UserError(place_, "it is cut short");
  if (stream_->z.avail_in != 0 || !stream_->rest.empty())
    throw UserError(place_, "it has bytes after its end");
}

}  // namespace gradc
