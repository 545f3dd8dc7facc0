// Counts the operations of libtorch that a process calls, through the dispatcher's own callbacks. Nothing is counted before
// it is asked for, and a process that counts is slower. No exception leaves this file.

#include <ATen/core/function_schema.h>
#include <ATen/record_function.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstring>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

namespace {

// What there is to know of one overload of an operation.
struct Operation {
  std::string name;
  // Hands back its argument under another shape, or works on the host: nothing is launched.
  bool view = false;
  // Gives memory that holds nothing yet.
  bool allocation = false;
  // On a GPU the host waits for its result.
  bool waits = false;
  // Asks the host on a CPU only; on a GPU nobody asks, or the kernel itself checks its arguments.
  bool checks_on_host = false;
  std::atomic<int64_t> called{0};
  // How often the host waits within it, where no other operation called it.
  std::atomic<int64_t> waited{0};
};

// An operation that is running on this thread.
struct Frame {
  Operation* operation;
  // Whether an operation that was called by it launches something.
  bool launched;
  bool within_check;
};

thread_local std::vector<Frame> running;

std::atomic<int64_t> outermost{0}, launches{0}, views{0}, waits{0};
std::mutex guard;

const std::unordered_set<std::string>& waiting() {
  static const std::unordered_set<std::string> names = {
      "aten::_local_scalar_dense", "aten::nonzero", "aten::masked_select", "aten::bincount", "aten::_unique",
      "aten::_unique2", "aten::unique_dim", "aten::unique_consecutive", "aten::equal"};
  return names;
}

// What gives a tensor another shape in place, or tells the host something that it knows.
const std::unordered_set<std::string>& on_host() {
  static const std::unordered_set<std::string> names = {
      "aten::as_strided_", "aten::squeeze_", "aten::unsqueeze_", "aten::transpose_", "aten::t_", "aten::detach_",
      "aten::set_", "aten::result_type", "aten::scalar_tensor", "aten::is_nonzero", "aten::item"};
  return names;
}

std::unordered_map<const char*, std::unique_ptr<Operation>>& known() {
  static std::unordered_map<const char*, std::unique_ptr<Operation>> operations;
  return operations;
}

// Null for what is recorded and is no operation. The text of a schema's name lies in the schema, of which there is one for
// each overload, as long as the process lives.
Operation* find(const at::RecordFunction& function) {
  const char* name = function.name();
  std::lock_guard<std::mutex> lock(guard);
  auto found = known().find(name);
  if (found != known().end()) {
    return found->second.get();
  }
  const auto schema = function.operator_schema();
  if (!schema) {
    return nullptr;
  }
  auto operation = std::make_unique<Operation>();
  operation->name = schema->name();
  for (const auto& result : schema->returns()) {
    const auto* alias = result.alias_info();
    operation->view |= alias != nullptr && !alias->isWrite();
  }
  const auto& own = operation->name;
  const auto starts = [&](const char* prefix) { return own.rfind(prefix, 0) == 0; };
  operation->view |= on_host().count(own) > 0;
  operation->allocation = starts("aten::empty") || starts("aten::new_empty") || starts("aten::resize");
  operation->waits = waiting().count(own) > 0;
  operation->checks_on_host = own == "aten::one_hot" || own == "aten::_cholesky_solve_helper";
  return known().emplace(name, std::move(operation)).first->second.get();
}

// Marks what was put on the stack.
struct Pushed : at::ObserverContext {};

std::unique_ptr<at::ObserverContext> begin(const at::RecordFunction& function) {
  auto* operation = find(function);
  if (operation == nullptr) {
    return nullptr;
  }
  const bool within = !running.empty() && running.back().within_check;
  running.push_back({operation, false, within || operation->checks_on_host});
  return std::make_unique<Pushed>();
}

void end(const at::RecordFunction&, at::ObserverContext* pushed) {
  if (pushed == nullptr || running.empty()) {
    return;
  }
  const Frame frame = running.back();
  running.pop_back();
  const bool inner = !running.empty();
  auto& operation = *frame.operation;
  if (!inner) {
    outermost += 1;
  }
  if (operation.waits && !(inner && running.back().within_check)) {
    waits += 1;
    (inner ? running.front().operation : frame.operation)->waited += 1;
  }
  bool launched = frame.launched;
  if (!launched && operation.view) {
    views += 1;
  } else if (!launched && !operation.allocation) {
    // What it calls launches nothing, so it is the kernel itself.
    launched = true;
    launches += 1;
    operation.called += 1;
  }
  if (inner) {
    running.back().launched |= launched;
  }
}

}  // namespace

extern "C" {

// Counts from now on, on every thread of the process. Returns 0 where that cannot be.
int ddpipe_count_operations() noexcept {
  try {
    static std::once_flag once;
    std::call_once(once, [] {
      auto callback = at::RecordFunctionCallback(&begin, &end);
      at::addGlobalCallback(callback.scopes({at::RecordScope::FUNCTION}));
    });
    return 1;
  } catch (...) {
    return 0;
  }
}

// So far: operations that none called, launches, views, waits.
void ddpipe_operations(int64_t* counts) noexcept {
  counts[0] = outermost;
  counts[1] = launches;
  counts[2] = views;
  counts[3] = waits;
}

// Hands over the name of each operation, how often it was launched, and how often it made the host wait, in no order.
void ddpipe_operation_names(void (*take)(void*, const char*, int64_t, int64_t), void* state) noexcept {
  std::lock_guard<std::mutex> lock(guard);
  for (const auto& [_, operation] : known()) {
    take(state, operation->name.c_str(), operation->called, operation->waited);
  }
}

}  // extern "C"
