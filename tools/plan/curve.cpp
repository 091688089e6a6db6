#include "tools/plan/curve.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace gradc {
namespace {

constexpr double kLeft = 70, kRight = 700, kTop = 50, kBottom = 340;

// Of Okabe and Ito's colours, lighter in a dark theme. The picture brings its page: a browser shows
// a file of its own on white, whatever the theme.
constexpr const char* kStyle =
    "<style>.page{fill:#fff}text{fill:#222}.axis{stroke:#666}.grid{stroke:#ddd}.never{fill:#888;"
    "opacity:.18}"
    ".plan{stroke:#0072b2;fill:none;stroke-width:2}.plan-dot{fill:#0072b2}"
    ".bound{stroke:#009e73;fill:none;stroke-width:2;stroke-dasharray:6 4}"
    ".measured{fill:none;stroke:#d55e00;stroke-width:2}"
    "@media(prefers-color-scheme:dark){.page{fill:#1b1f24}text{fill:#ddd}.axis{stroke:#999}"
    ".grid{stroke:#444}"
    ".plan{stroke:#56b4e9}.plan-dot{fill:#56b4e9}.bound{stroke:#2fc79a}.measured{stroke:#ff8a33}}"
    "</style>\n";

std::string escaped(const std::string& text) {
  std::string result;
  for (char c : text)
    result += c == '<' ? "&lt;" : c == '&' ? "&amp;" : std::string(1, c);
  return result;
}

// 1, 2 or 5 times a power of ten, so that about five steps reach `end`.
double step_of(double end) {
  double power = std::pow(10, std::floor(std::log10(std::max(end, 1e-9) / 5)));
  for (double factor : {1.0, 2.0, 5.0})
    if (end / (factor * power) <= 5)
      return factor * power;
  return 10 * power;
}

class CurvePicture {
 public:
  explicit CurvePicture(const std::vector<CurvePoint>& points) : points_(points) {
    int64_t most = 1;
    for (const CurvePoint& point : points) {
      most = std::max(most, point.budget);
      for (const auto& share : {point.overhead, point.measured})
        if (share)
          top_ = std::max(top_, 100 * *share);
    }
    kib_ = most < (int64_t{4} << 20);
    unit_ = kib_ ? 1024 : 1 << 20;
    end_ = static_cast<double>(most) / unit_ * 1.03;
    top_ *= 1.08;
  }

  std::string draw(const std::string& title) {
    text_ = fmt::format(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 730 400\" width=\"730\" "
        "font-family=\"sans-serif\" font-size=\"12\" role=\"img\">\n<title>{0}</title>\n{1}"
        "<rect class=\"page\" width=\"730\" height=\"400\"/>\n"
        "<text x=\"{2}\" y=\"20\" font-size=\"14\" font-weight=\"bold\">{0}</text>\n",
        escaped(title), kStyle, kLeft);
    impossible();
    axes();
    line("bound", [](const CurvePoint& point) { return point.bound; });
    line("plan", [](const CurvePoint& point) { return *point.overhead; });
    dots();
    legend();
    return text_ + "</svg>\n";
  }

 private:
  double x(double budget) const { return kLeft + (kRight - kLeft) * budget / unit_ / end_; }
  double y(double percent) const {
    return kBottom - (kBottom - kTop) * std::max(percent, 0.0) / top_;
  }

  template <typename... Args>
  void add(const char* format, Args... args) {
    text_ += fmt::format(fmt::runtime(format), args...) + "\n";
  }

  void axes() {
    for (double percent = 0; percent <= top_; percent += step_of(top_)) {
      add("<line class=\"grid\" x1=\"{}\" x2=\"{}\" y1=\"{:.1f}\" y2=\"{:.1f}\"/>", kLeft, kRight,
          y(percent), y(percent));
      add("<text x=\"{}\" y=\"{:.1f}\" text-anchor=\"end\">{:g}</text>", kLeft - 7, y(percent) + 4,
          percent);
    }
    for (double at = 0; at <= end_; at += step_of(end_))
      add("<text x=\"{:.1f}\" y=\"{}\" text-anchor=\"middle\">{:g}</text>", x(at * unit_),
          kBottom + 17, at);
    add("<path class=\"axis\" fill=\"none\" d=\"M{0} {1}V{2}H{3}\"/>", kLeft, kTop, kBottom,
        kRight);
    add("<text x=\"{}\" y=\"{}\" text-anchor=\"middle\">arena that is allowed, {}</text>",
        (kLeft + kRight) / 2, kBottom + 36, kib_ ? "KiB" : "MiB");
    add("<text transform=\"translate(20 {}) rotate(-90)\" text-anchor=\"middle\">more time than "
        "without a budget, %</text>",
        (kTop + kBottom) / 2);
  }

  // Below the smallest budget that has a plan.
  void impossible() {
    double smallest = 1e300, none = 0;
    for (const CurvePoint& point : points_)
      if (point.overhead)
        smallest = std::min(smallest, static_cast<double>(point.budget));
    for (const CurvePoint& point : points_)
      if (!point.overhead && static_cast<double>(point.budget) < smallest)
        none = std::max(none, static_cast<double>(point.budget));
    if (none > 0)
      add("<rect class=\"never\" x=\"{}\" y=\"{}\" width=\"{:.1f}\" height=\"{}\"/>\n"
          "<text x=\"{:.1f}\" y=\"{}\" text-anchor=\"middle\">no plan</text>",
          kLeft, kTop, x(none) - kLeft, kBottom - kTop, (kLeft + x(none)) / 2, kTop + 16);
  }

  template <typename Share>
  void line(const char* name, Share share) {
    std::string path;
    for (const CurvePoint& point : points_)
      if (point.overhead)
        path += fmt::format("{}{:.1f} {:.1f}", path.empty() ? "M" : "L",
                            x(static_cast<double>(point.budget)), y(100 * share(point)));
    if (!path.empty())
      add("<path class=\"{}\" d=\"{}\"/>", name, path);
  }

  void dots() {
    for (const CurvePoint& point : points_) {
      if (!point.overhead)
        continue;
      double at = x(static_cast<double>(point.budget));
      add("<circle class=\"plan-dot\" cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"3.5\"><title>{} bytes: "
          "{:.2f} "
          "%, at least {:.2f} %</title></circle>",
          at, y(100 * *point.overhead), point.budget, 100 * *point.overhead, 100 * point.bound);
      if (point.measured)
        add("<circle class=\"measured\" cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"5.5\"/>", at,
            y(100 * *point.measured));
    }
  }

  void legend() {
    bool any = std::any_of(points_.begin(), points_.end(),
                           [](const CurvePoint& point) { return point.measured.has_value(); });
    auto entry = [&](double at, const char* name, const char* label) {
      if (std::string(name) == "measured")
        add("<circle class=\"measured\" cx=\"{}\" cy=\"36\" r=\"5.5\"/>", at + 12);
      else
        add("<path class=\"{}\" d=\"M{} 36h24\"/>", name, at);
      add("<text x=\"{}\" y=\"40\">{}</text>", at + 30, label);
    };
    entry(kLeft, "plan", "planned");
    entry(kLeft + 110, "bound", "proved: no plan has less");
    if (any)
      entry(kLeft + 320, "measured", "measured");
  }

  const std::vector<CurvePoint>& points_;
  bool kib_ = false;
  double unit_ = 1, end_ = 1;
  double top_ = 1;  // percent
  std::string text_;
};

}  // namespace

std::string curve_svg(const std::string& title, const std::vector<CurvePoint>& points) {
  return CurvePicture(points).draw(title);
}

}  // namespace gradc
