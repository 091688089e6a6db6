#include "tools/report/page.h"

#include <map>
#include <string_view>

namespace gradc {

// The files of page/, embedded.
std::string_view page_base_js();
std::string_view page_columns_js();
std::string_view page_flops_js();
std::string_view page_graph_js();
std::string_view page_graph_layout_js();
std::string_view page_memory_js();
std::string_view page_memory_map_js();
std::string_view page_overview_js();
std::string_view page_passes_js();
std::string_view page_report_html();
std::string_view page_report_js();
std::string_view page_theme_css();
std::string_view page_views_css();

namespace {

std::string escaped(std::string_view text) {
  std::string html;
  for (char c : text)
    switch (c) {
      case '&':
        html += "&amp;";
        break;
      case '<':
        html += "&lt;";
        break;
      case '>':
        html += "&gt;";
        break;
      default:
        html += c;
    }
  return html;
}

// JSON inside of a script element, which ends at `</script`: without `<` there is no end in it.
std::string data_text(const nlohmann::ordered_json& data) {
  std::string text;
  for (char c : data.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace))
    if (c == '<')
      text += "\\u003c";
    else
      text += c;
  return text;
}

// What the other scripts use comes first, what starts the page last.
std::string scripts() {
  std::string text;
  for (std::string_view script :
       {page_base_js(), page_overview_js(), page_memory_map_js(), page_memory_js(), page_flops_js(),
        page_graph_layout_js(), page_graph_js(), page_columns_js(), page_passes_js(),
        page_report_js()})
    text += script;
  return text;
}

}  // namespace

std::string report_page(const nlohmann::ordered_json& data) {
  const std::map<std::string_view, std::string> parts = {
      {"title", escaped(data.at("model").get<std::string>())},
      {"style", std::string(page_theme_css()) + std::string(page_views_css())},
      {"data", data_text(data)},
      {"script", scripts()}};
  std::string page;
  std::string_view rest = page_report_html();
  for (size_t open; (open = rest.find("{{")) != std::string_view::npos;) {
    size_t close = rest.find("}}", open);
    page += rest.substr(0, open);
    page += parts.at(rest.substr(open + 2, close - open - 2));
    rest.remove_prefix(close + 2);
  }
  return page += rest;
}

}  // namespace gradc
