#include "compiler/plan/core/bound.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <set>

#include "compiler/plan/core/max_flow.h"

namespace gradc {

namespace {

constexpr int kSource = 0, kSink = 1;

struct Solution {
  double worth = 0;  // cost + price * bytes: no solution has less
  int64_t cost = 0, bytes = 0;  // of the solution at which it is reached
  std::vector<int> kept;  // values
};

}  // namespace

// The network of one kernel c. A node on the sink's side is a value that is there after c, or a
// kernel that runs again.
class BoundSearch::Cut {
 public:
  Cut(const Problem& problem, int kernel, const std::vector<char>& before,
      const std::vector<char>& behind, const std::vector<int>& leading)
      : problem_(problem), own_(own_bytes(problem, problem.kernels[kernel])) {
    std::vector<char> ran = before;
    ran[kernel] = true;
    mark_needed(ran, behind, leading);
    if (kernels_.empty())
      return;
    build(kernel, ran, leading);
  }

  int64_t own() const { return own_; }
  bool empty() const { return kernels_.empty(); }

  // The fewest bytes that have to be kept beside what c holds, whatever is paid.
  int64_t least_bytes() {
    if (kernels_.empty() || !any_fixed_)
      return 0;
    for (const Node& node : kernels_)
      flow_->set_capacity(node.edge, node.fixed ? MaxFlow::kInfinite : 0);
    for (const Node& node : values_)
      flow_->set_capacity(node.edge, node.fixed ? 0 : node.weight);
    return flow_->run(kSource, kSink);
  }

  Solution solve(double price) {
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

 private:
  struct Node {
    int number = 0;  // of the kernel or value
    int node = 0, edge = 0;
    int maker = 0;  // of a value: its kernel's node
    int64_t weight = 0;  // cost of the kernel, bytes of the value
    int64_t otherwise = INT64_MAX;  // of a value: what an optional kernel that makes it costs
    bool fixed = false;  // the kernel cannot run again; c holds the value anyway
  };

  // A smaller capacity only lowers the bound.
  static int64_t scaled(double weight, double scale) {
    return static_cast<int64_t>(std::floor(weight * scale));
  }
  static double worth(const Node& node, double price) {
    return node.fixed ? 0
                      : std::min(static_cast<double>(node.weight) * price,
                                 static_cast<double>(node.otherwise));
  }

  // Values that are read after c and kernels that could make them again, and what these read.
  void mark_needed(const std::vector<char>& ran, const std::vector<char>& behind,
                   const std::vector<int>& leading) {
    std::vector<int> open;
    node_of_value_.assign(problem_.values.size(), -1);
    node_of_kernel_.assign(problem_.kernels.size(), -1);
    nodes_ = 2;
    auto need = [&](int value) {
      int maker = leading[value];
      if (maker < 0 || !ran[maker] || node_of_value_[value] >= 0)
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
      if (behind[k] && problem_.kernels[k].required)
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

  void build(int c, const std::vector<char>& ran, const std::vector<int>& leading) {
    flow_.emplace(nodes_);
    for (Node& node : kernels_) {
      const PlanKernel& kernel = problem_.kernels[node.number];
      node.weight = kernel.cost;
      node.fixed = kernel.once || std::any_of(kernel.overwriters.begin(), kernel.overwriters.end(),
                                              [&](int writer) { return ran[writer]; });
      any_fixed_ |= node.fixed;
      total_cost_ += static_cast<double>(kernel.cost);
      node.edge = flow_->add_edge(kSource, node.node, 0);
      for (int value : kernel.reads)
        if (node_of_value_[value] >= 0)
          flow_->add_edge(node_of_value_[value], node.node, MaxFlow::kInfinite);
    }
    const PlanKernel& at = problem_.kernels[c];
    for (size_t i = 0; i < values_.size(); ++i) {
      Node& node = values_[i];
      const PlanValue& value = problem_.values[node.number];
      auto has = [&](const std::vector<int>& list) {
        return std::find(list.begin(), list.end(), node.number) != list.end();
      };
      node.fixed = has(at.reads) || has(at.writes);
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
  int64_t alone(int producer) const {
    const PlanKernel& kernel = problem_.kernels[producer];
    return kernel.required ? 0 : kernel.cost / static_cast<int64_t>(kernel.writes.size());
  }

  const Problem& problem_;
  int64_t own_;
  std::vector<Node> kernels_, values_;
  size_t needed_ = 0;  // so many of values_ are read by what runs after c
  std::vector<int> node_of_value_, node_of_kernel_;
  int nodes_ = 0;
  bool any_fixed_ = false;
  double total_cost_ = 0, total_bytes_ = 0;
  std::optional<MaxFlow> flow_;
};

BoundSearch::BoundSearch(const Problem& problem, const Schedule& order)
    : problem_(problem), order_(order), usage_(evaluate(problem, order)) {
  find_leading();
  waits_for_.resize(problem.kernels.size());
  bool any_optional = std::any_of(problem.kernels.begin(), problem.kernels.end(),
                                  [](const PlanKernel& kernel) { return !kernel.required; });
  for (int k : order) {
    std::set<int> others;
    if (!any_optional)
      others.insert(problem.kernels[k].after.begin(), problem.kernels[k].after.end());
    for (int value : problem.kernels[k].reads)
      if (leading_[value] >= 0)
        others.insert(leading_[value]);
    waits_for_[k].insert(waits_for_[k].end(), others.begin(), others.end());
    for (int writer : problem.kernels[k].overwriters)
      waits_for_[writer].push_back(k);
  }
}

BoundSearch::~BoundSearch() = default;

// Whether `kernel` must have run before any optional producer of `value` can run. Of all ways to
// answer that agree with themselves the one with most yes: by induction over a schedule, what has
// to run before a value is first made is common to all of its producers.
bool BoundSearch::must_have_run(int kernel, int value) const {
  std::vector<char> behind(problem_.kernels.size(), true);
  auto holds = [&](int k) {
    for (int read : problem_.kernels[k].reads) {
      const std::vector<int>& producers = problem_.values[read].producers;
      if (!producers.empty() && std::all_of(producers.begin(), producers.end(), [&](int producer) {
            return producer == kernel || behind[producer];
          }))
        return true;
    }
    return false;
  };
  for (bool changed = true; changed;) {
    changed = false;
    for (int k = 0; k < problem_.kernel_count(); ++k)
      if (behind[k] && !holds(k)) {
        behind[k] = false;
        changed = true;
      }
  }
  const std::vector<int>& producers = problem_.values[value].producers;
  return std::all_of(producers.begin(), producers.end(),
                     [&](int producer) { return producer == kernel || behind[producer]; });
}

void BoundSearch::find_leading() {
  for (int value = 0; value < problem_.value_count(); ++value) {
    const std::vector<int>& producers = problem_.values[value].producers;
    leading_.push_back(producers.empty() ? -1 : producers[0]);
    if (producers.size() > 1 && !must_have_run(producers[0], value))
      leading_.back() = -1;
  }
}

std::vector<char> BoundSearch::before(int kernel) const {
  std::vector<char> found(problem_.kernels.size());
  std::vector<int> open = {kernel};
  while (!open.empty()) {
    int next = open.back();
    open.pop_back();
    for (int earlier : waits_for_[next])
      if (!found[earlier]) {
        found[earlier] = true;
        open.push_back(earlier);
      }
  }
  return found;
}

std::vector<char> BoundSearch::behind(int kernel) const {
  std::vector<char> found(problem_.kernels.size());
  for (int k : order_)
    found[k] = std::any_of(waits_for_[k].begin(), waits_for_[k].end(),
                           [&](int earlier) { return earlier == kernel || found[earlier]; });
  return found;
}

BoundSearch::Cut BoundSearch::make_cut(int kernel) const {
  return Cut(problem_, kernel, before(kernel), behind(kernel), leading_);
}

// The best price lies where the line of a solution that keeps too much crosses that of one that
// keeps little enough; a cheaper solution there is the next line (Newton's method on a concave
// function).
Bound BoundSearch::bound_at(int step, int64_t budget, const Bound& best) const {
  constexpr int kMostSolutions = 40;
  Bound bound{.kernel = order_[step], .price = best.price};
  Cut cut = make_cut(order_[step]);
  int64_t room = budget - cut.own();
  bound.impossible = room < 0 || cut.least_bytes() > room;
  if (bound.impossible || cut.empty())
    return bound;
  double price = best.price > 0 ? best.price : 1e-3;
  std::optional<Solution> much, little;
  for (int i = 0; i < kMostSolutions; ++i) {
    Solution solution = cut.solve(price);
    double worth = solution.worth - price * static_cast<double>(room);
    auto overhead = static_cast<int64_t>(std::floor(worth * (1 - 1e-9))) - 1;
    if (overhead > bound.overhead) {
      bound.overhead = overhead;
      bound.price = price;
    }
    (solution.bytes > room ? much : little) = solution;
    if (!little) {
      price *= 8;
      continue;
    }
    if (little->cost <= best.overhead)  // no price gives more
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
  return bound;
}

Bound BoundSearch::bound(int64_t budget) {
  constexpr int kFirst = 200;
  Bound best;
  KernelFloor alone = kernel_floor(problem_);
  if (alone.bytes > budget)
    return {.impossible = true, .kernel = alone.kernel};
  std::vector<int> steps;  // that cannot do without dropping something, as the order has it
  for (int step = 0; step < static_cast<int>(order_.size()); ++step)
    if (usage_.bytes[step] > budget)
      steps.push_back(step);
  auto count = static_cast<int>(steps.size());
  if (count == 0)
    return best;
  std::vector<char> seen(steps.size());
  int best_at = 0;
  auto look = [&](int at) {
    if (at < 0 || at >= count || seen[at] || best.impossible)
      return;
    seen[at] = true;
    Bound bound = bound_at(steps[at], budget, best);
    if (bound.impossible || bound.overhead > best.overhead) {
      best = bound;
      best_at = at;
    }
  };
  auto peak = std::lower_bound(steps.begin(), steps.end(), static_cast<int>(usage_.peak_step));
  best_at = static_cast<int>(peak - steps.begin());
  look(best_at);
  int stride = std::max(1, count / kFirst);
  for (int at = stride / 2; at < count; at += stride)
    look(at);
  for (stride = (stride + 1) / 2;; stride = (stride + 1) / 2) {
    int center = best_at;
    look(center - stride);
    look(center + stride);
    if (stride == 1 && center == best_at)
      break;
  }
  return best;
}

BoundSearch::Floor BoundSearch::floor() {
  constexpr int kLooks = 64;
  KernelFloor alone = kernel_floor(problem_);
  Floor floor{alone.bytes, alone.kernel};
  int stride = std::max<int>(1, static_cast<int>(order_.size()) / kLooks);
  for (size_t step = 0; step < order_.size(); step += static_cast<size_t>(stride)) {
    Cut cut = make_cut(order_[step]);
    int64_t bytes = cut.own() + cut.least_bytes();
    if (bytes > floor.bytes)
      floor = {bytes, order_[step], false};
  }
  return floor;
}

std::vector<std::vector<int>> BoundSearch::keep_sets(int kernel, double price) {
  std::vector<std::vector<int>> sets;
  Cut cut = make_cut(kernel);
  if (cut.empty() || price <= 0)
    return sets;
  for (double factor : {0.1, 0.3, 0.6, 0.8, 0.95, 1.0, 1.05, 1.2, 1.5, 2.0, 3.0, 6.0, 20.0}) {
    std::vector<int> kept = cut.solve(price * factor).kept;
    if (sets.empty() || sets.back() != kept)
      sets.push_back(std::move(kept));
  }
  return sets;
}

}  // namespace gradc
