#pragma once
// What a person sees of long work: a bar on a terminal, a line now and then elsewhere.
#include <chrono>
#include <cstdint>
#include <string>

namespace gradc {

class Progress {
 public:
  // `quiet` shows nothing (--json). Everything goes to standard error.
  Progress(std::string title, int64_t total, bool quiet);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  // `done` of `total` are done; `details` are shown behind the bar. Redraws at most 10 times a
  // second on a terminal, writes a line at most every 10 seconds elsewhere.
  void update(int64_t done, const std::string& details);
  // Takes the bar off the terminal, for lines of other kinds; the next update draws it again.
  void clear();
  // Ends the bar's line, leaving its last state on it.
  void finish(const std::string& details);

 private:
  void draw(int64_t done, const std::string& details);
  using Clock = std::chrono::steady_clock;

  std::string title_;
  int64_t total_;
  bool quiet_, terminal_, open_ = false;
  Clock::time_point begin_, drawn_;
  int64_t last_drawn_ = -1;
};

}  // namespace gradc
