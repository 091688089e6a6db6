#include "tools/progress.h"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>

namespace gradc {
namespace {

constexpr int kBarWidth = 24;

size_t terminal_columns() {
  winsize size{};
  return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

std::string clock_text(double seconds) {
  auto whole = static_cast<int64_t>(seconds + 0.5);
  return whole < 3600 ? fmt::format("{}:{:02}", whole / 60, whole % 60)
                      : fmt::format("{}:{:02}:{:02}", whole / 3600, whole / 60 % 60, whole % 60);
}

}  // namespace

Progress::Progress(std::string title, int64_t total, bool quiet)
    : title_(std::move(title)),
      total_(std::max<int64_t>(total, 1)),
      quiet_(quiet),
      terminal_(isatty(STDERR_FILENO) != 0),
      begin_(Clock::now()),
      drawn_(begin_) {}

Progress::~Progress() {
  if (open_)
    std::fputc('\n', stderr);  // fmt::print may throw
}

void Progress::update(int64_t done, const std::string& details) {
  auto pause = terminal_ ? std::chrono::milliseconds(100) : std::chrono::milliseconds(10000);
  if (!quiet_ && Clock::now() - drawn_ >= pause)
    draw(done, details);
}

void Progress::clear() {
  if (!open_)
    return;
  fmt::print(stderr, "\r\x1b[K");
  std::fflush(stderr);
  open_ = false;
}

void Progress::finish(const std::string& details) {
  if (quiet_)
    return;
  if (terminal_ || last_drawn_ != total_)
    draw(total_, details);
  if (open_)
    fmt::print(stderr, "\n");
  open_ = false;
}

void Progress::draw(int64_t done, const std::string& details) {
  drawn_ = Clock::now();
  last_drawn_ = done;
  double seconds = std::chrono::duration<double>(drawn_ - begin_).count();
  double left =
      done > 0 ? seconds * static_cast<double>(total_ - done) / static_cast<double>(done) : 0;
  std::string time = done == total_ ? clock_text(seconds) : "ETA " + clock_text(left);
  if (!terminal_) {
    fmt::print(stderr, "{} {}/{} {} {}\n", title_, done, total_, details, time);
    return;
  }
  auto filled = static_cast<size_t>(done * kBarWidth / total_);
  std::string line = fmt::format("{} [{}{}] {}/{} {} {}", title_, std::string(filled, '#'),
                                 std::string(kBarWidth - filled, '.'), done, total_, details, time);
  line.resize(std::min(line.size(), terminal_columns() - 1));
  fmt::print(stderr, "\r{}\x1b[K", line);
  std::fflush(stderr);
  open_ = true;
}

}  // namespace gradc
