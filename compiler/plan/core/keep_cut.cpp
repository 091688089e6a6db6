#include "compiler/plan/core/keep_cut.h"

#include <algorithm>
#include <cmath>

namespace gradc {
namespace {

constexpr int kSource = 0, kSink = 1;

// A smaller capacity only lowers the bound.
int64_t scaled(double weight, double scale) {
  return static_cast<int64_t>(std::floor(weight * scale));
}

}  // namespace

KeepCut::KeepCut(const Problem& problem, const Moment& moment, const std::vector<int>& leading)
    : problem_(problem), own_(moment.own) {
  mark_needed(moment, leading);
  if (!kernels_.empty())
    build(moment, leading);
}

// Values that are read afterwards and kernels that could make them again, and what these read.
void KeepCut::mark_needed(const Moment& moment, const std::vector<int>& leading) {
  std::vector<int> open;
  node_of_value_.assign(problem_.values.size(), -1);
  node_of_kernel_.assign(problem_.kernels.size(), -1);
  nodes_ = 2;
  auto need = [&](int value) {
    int maker = leading[value];
    if (maker < 0 || !moment.ran[maker] || node_of_value_[value] >= 0)
      return;
    node_of_value_[value] = nodes_++;
    values_.push_back({.number = value, .node = node_of_value_[value]});
    if (node_of_kernel_[maker] >= 0)
      return;
    node_of_kernel_[maker] = nodes_++;
    kernels_.push_back({.number = maker, .node = node_of_kernel_[maker]});
    open.push_back(maker);
  };
  for (int k = 0; k < problem_.kernel_count(); ++k)
    if (moment.to_come[k] && problem_.kernels[k].required)
      for (int value : problem_.kernels[k].reads)
        need(value);
  needed_ = values_.size();
  while (!open.empty()) {
    int kernel = open.back();
    open.pop_back();
    for (int value : problem_.kernels[kernel].reads)
      need(value);
  }
}

void KeepCut::build(const Moment& moment, const std::vector<int>& leading) {
  flow_.emplace(nodes_);
  for (Node& node : kernels_) {
    const PlanKernel& kernel = problem_.kernels[node.number];
    node.weight = kernel.cost;
    node.fixed = kernel.once || std::any_of(kernel.overwriters.begin(), kernel.overwriters.end(),
                                            [&](int writer) { return moment.ran[writer]; });
    any_fixed_ |= node.fixed;
    total_cost_ += static_cast<double>(kernel.cost);
    node.edge = flow_->add_edge(kSource, node.node, 0);
    for (int value : kernel.reads)
      if (node_of_value_[value] >= 0)
        flow_->add_edge(node_of_value_[value], node.node, MaxFlow::kInfinite);
  }
  std::vector<char> held(problem_.values.size());
  for (int value : moment.held)
    held[value] = true;
  for (size_t i = 0; i < values_.size(); ++i) {
    Node& node = values_[i];
    const PlanValue& value = problem_.values[node.number];
    node.fixed = held[node.number];
    node.weight = value.bytes;
    node.maker = node_of_kernel_[leading[node.number]];
    for (int producer : value.producers)
      if (producer != leading[node.number])
        node.otherwise = std::min(node.otherwise, alone(producer));
    total_bytes_ += static_cast<double>(value.bytes);
    node.edge = flow_->add_edge(node.maker, node.node, 0);
    if (i < needed_)
      flow_->add_edge(node.node, kSink, MaxFlow::kInfinite);
  }
}

// What another producer adds at least for one of its results: what it reads may be there.
int64_t KeepCut::alone(int producer) const {
  const PlanKernel& kernel = problem_.kernels[producer];
  return kernel.required ? 0 : kernel.cost / static_cast<int64_t>(kernel.writes.size());
}

int64_t KeepCut::least_bytes() {
  if (kernels_.empty() || !any_fixed_)
    return 0;
  for (const Node& node : kernels_)
    flow_->set_capacity(node.edge, node.fixed ? MaxFlow::kInfinite : 0);
  for (const Node& node : values_) {
    bool kept = !node.fixed && node.otherwise == INT64_MAX;
    flow_->set_capacity(node.edge, kept ? node.weight : 0);
  }
  return flow_->run(kSource, kSink);
}

double KeepCut::worth(const Node& node, double price) {
  return node.fixed ? 0
                    : std::min(static_cast<double>(node.weight) * price,
                               static_cast<double>(node.otherwise));
}

KeepCut::Solution KeepCut::solve(double price) {
  double scale = std::exp2(std::floor(58 - std::log2(total_cost_ + price * total_bytes_ + 1)));
  for (const Node& node : kernels_)
    flow_->set_capacity(node.edge, node.fixed ? MaxFlow::kInfinite
                                              : scaled(static_cast<double>(node.weight), scale));
  for (const Node& node : values_)
    flow_->set_capacity(node.edge, scaled(worth(node, price), scale));
  Solution solution;
  solution.worth = static_cast<double>(flow_->run(kSource, kSink)) / scale;
  for (const Node& node : kernels_)
    if (!flow_->on_source_side(node.node))
      solution.cost += node.weight;
  for (const Node& node : values_) {
    if (flow_->on_source_side(node.node) || !flow_->on_source_side(node.maker))
      continue;
    if (static_cast<double>(node.otherwise) < price * static_cast<double>(node.weight)) {
      solution.cost += node.otherwise;
      continue;
    }
    solution.kept.push_back(node.number);
    solution.bytes += node.fixed ? 0 : node.weight;
  }
  return solution;
}

// The best price lies where the line of a solution that keeps too much crosses that of one that
// keeps little enough; a cheaper solution there is the next line (Newton's method on a concave
// function).
KeepCut::Least KeepCut::least_cost(int64_t room, int64_t known, double price) {
  constexpr int kMostSolutions = 40;
  Least least{.price = price};
  if (kernels_.empty())
    return least;
  price = price > 0 ? price : 1e-3;
  std::optional<Solution> much, little;
  for (int i = 0; i < kMostSolutions; ++i) {
    Solution solution = solve(price);
    double worth = solution.worth - price * static_cast<double>(room);
    auto cost = static_cast<int64_t>(std::floor(worth * (1 - 1e-9))) - 1;
    if (cost > least.cost)
      least = {cost, price};
    (solution.bytes > room ? much : little) = solution;
    if (!little) {
      price *= 8;
      continue;
    }
    if (little->cost <= known)  // no price gives more
      break;
    if (!much) {
      price /= 8;
      continue;
    }
    double next = static_cast<double>(little->cost - much->cost) /
                  static_cast<double>(much->bytes - little->bytes);
    if (!(next > 0) || std::abs(next - price) <= 1e-6 * price)
      break;
    price = next;
  }
  return least;
}

}  // namespace gradc
