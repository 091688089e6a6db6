// Fork and join by spinning: a worker that has just finished spins for a while, since inside a step
// the next loop comes within microseconds, and then sleeps on a futex, so an idle pool costs
// nothing.
//
// Every worker begins with an even share of a loop, so that it finds again in its caches what it
// wrote in the last one, and takes it piece by piece. Who has finished helps the others, and a
// worker that has not even begun by then is not waited for: on a busy machine it may not run for
// milliseconds.
#include "runtime/pool.h"

#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <memory>
#include <new>
#include <utility>

#include "runtime/float_environment.h"

namespace {

using Word = std::atomic<uint32_t>;
static_assert(sizeof(Word) == 4 && Word::is_always_lock_free, "a futex is a plain 32-bit word");

void futex_wait(Word& word, uint32_t expected) {
  syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, expected, nullptr, nullptr, 0);
}

void futex_wake(Word& word) {
  syscall(SYS_futex, &word, FUTEX_WAKE_PRIVATE, 1, nullptr, nullptr, 0);
}

void pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

// Spins until `done` or until waking a sleeper (about 45 us) would have been cheaper.
template <typename Done>
bool spin_until(Done done) {
  using Clock = std::chrono::steady_clock;
  constexpr auto kLimit = std::chrono::microseconds(50);
  Clock::time_point start = Clock::now();
  do {
    for (int i = 0; i < 64; ++i) {
      if (done())
        return true;
      pause();
    }
  } while (Clock::now() - start < kLimit);
  return false;
}

// A worker's mailbox. The worker moves idle -> sleeping; whoever posts exchanges the word and wakes
// the worker if it slept, so no wake-up is lost and none is sent in vain. Work moves to idle again
// by whoever comes first: the worker, which takes it, or the poster, who takes it back.
enum Signal : uint32_t { idle, sleeping, work, stop };

struct alignas(64) Worker {
  Word signal{idle};
  gradc_pool* pool = nullptr;
  int32_t index = 0;
  pthread_t thread = {};
};

void post(Worker& worker, Signal signal) {
  if (worker.signal.exchange(signal, std::memory_order_acq_rel) == sleeping)
    futex_wake(worker.signal);
}

bool take(Worker& worker) {
  uint32_t expected = work;
  return worker.signal.compare_exchange_strong(expected, idle, std::memory_order_acq_rel);
}

// Waits for work and takes it; false: stop.
bool receive(Worker& worker) {
  while (true) {
    auto posted = [&] { return worker.signal.load(std::memory_order_acquire) >= work; };
    uint32_t expected = idle;
    if (!spin_until(posted) &&
        worker.signal.compare_exchange_strong(expected, sleeping, std::memory_order_acq_rel))
      while (worker.signal.load(std::memory_order_acquire) == sleeping)
        futex_wait(worker.signal, sleeping);
    if (take(worker))
      return true;
    if (worker.signal.load(std::memory_order_acquire) == stop)
      return false;
  }
}

// What is left of one worker's part of a loop.
struct alignas(64) Share {
  std::atomic<int64_t> next{0};
  int64_t end = 0, piece = 1;
};

// The pool whose loop this thread is running, and as which worker: a nested loop stays with it.
thread_local const gradc_pool* current_pool = nullptr;
thread_local int32_t current_worker = 0;

int32_t available_cores() {
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) == 0)
    return CPU_COUNT(&set);
  return static_cast<int32_t>(std::max(1L, sysconf(_SC_NPROCESSORS_ONLN)));
}

}  // namespace

struct gradc_pool {
  int32_t threads = 1;  // the caller's included
  std::unique_ptr<Worker[]> workers;  // threads - 1; workers[i] is worker i + 1
  std::unique_ptr<Share[]> shares;  // one per thread
  std::atomic<bool> busy{false};  // a loop is running
  // The running loop; workers read it between taking the work and their decrement of `pending`.
  gradc_body body = nullptr;
  void* data = nullptr;
  int32_t parts = 0;
  alignas(64) Word pending{
      0};  // workers that have not finished; kWaiting if the caller sleeps on it
};

namespace {

constexpr uint32_t kWaiting = 1u << 31;

constexpr int64_t kPieces = 8;  // of a share: what is lost at the end is a fraction of one

void set_shares(gradc_pool& pool, int64_t count) {
  for (int32_t i = 0; i < pool.parts; ++i) {
    int64_t begin = gradc::part_begin(count, pool.parts, i);
    Share& share = pool.shares[i];
    share.end = gradc::part_begin(count, pool.parts, i + 1);
    share.piece = std::max<int64_t>(1, (share.end - begin) / kPieces);
    share.next.store(begin, std::memory_order_relaxed);
  }
}

// The own share first, then what is left of the next worker's, and so on. No share has a negative
// begin, and adding a piece per worker beyond its end does not overflow.
void run_shares(gradc_pool& pool, int32_t worker) {
  const gradc_pool* outer_pool = std::exchange(current_pool, &pool);
  int32_t outer_worker = std::exchange(current_worker, worker);
  for (int32_t i = 0; i < pool.parts; ++i) {
    Share& share = pool.shares[(worker + i) % pool.parts];
    while (share.next.load(std::memory_order_relaxed) < share.end) {
      int64_t begin = share.next.fetch_add(share.piece, std::memory_order_relaxed);
      if (begin < share.end)
        pool.body(pool.data, begin, std::min(begin + share.piece, share.end), worker);
    }
  }
  current_pool = outer_pool;
  current_worker = outer_worker;
}

void* worker_main(void* argument) {
  Worker& self = *static_cast<Worker*>(argument);
  gradc_pool& pool = *self.pool;
  gradc::set_float_mode(gradc::kStrictMode);
  while (receive(self)) {
    run_shares(pool, self.index);
    if (pool.pending.fetch_sub(1, std::memory_order_acq_rel) == (kWaiting | 1))
      futex_wake(pool.pending);
  }
  return nullptr;
}

void wait_for_workers(gradc_pool& pool) {
  if (spin_until([&] { return pool.pending.load(std::memory_order_acquire) == 0; }))
    return;
  uint32_t pending = pool.pending.fetch_or(kWaiting, std::memory_order_acq_rel) | kWaiting;
  while (pending != kWaiting) {
    futex_wait(pool.pending, pending);
    pending = pool.pending.load(std::memory_order_acquire);
  }
}

}  // namespace

namespace gradc {

void parallel_for(gradc_pool* pool, int32_t threads, int64_t count, gradc_body body, void* data) {
  if (count <= 0)
    return;
  if (pool && current_pool == pool)
    return body(data, 0, count, current_worker);
  auto parts = static_cast<int32_t>(std::min<int64_t>({threads, gradc_pool_threads(pool), count}));
  // A pool that runs another instance's loop is not waited for: this thread does the work alone.
  if (parts <= 1 || pool->busy.exchange(true, std::memory_order_acquire))
    return body(data, 0, count, 0);

  pool->body = body;
  pool->data = data;
  pool->parts = parts;
  set_shares(*pool, count);
  pool->pending.store(static_cast<uint32_t>(parts - 1), std::memory_order_relaxed);
  for (int32_t i = 1; i < parts; ++i)
    post(pool->workers[i - 1], work);
  run_shares(*pool, 0);
  for (int32_t i = 1; i < parts; ++i)
    if (take(pool->workers[i - 1]))
      pool->pending.fetch_sub(1, std::memory_order_relaxed);
  wait_for_workers(*pool);
  pool->busy.store(false, std::memory_order_release);
}

}  // namespace gradc

gradc_pool* gradc_pool_create(int32_t threads) {
  auto* pool = new (std::nothrow) gradc_pool;
  if (!pool)
    return nullptr;
  if (threads <= 0)
    threads = available_cores();
  pool->workers.reset(new (std::nothrow) Worker[threads - 1]);
  pool->shares.reset(new (std::nothrow) Share[threads]);
  if (!pool->workers || !pool->shares) {
    delete pool;
    return nullptr;
  }
  // Signals belong to the program's own threads.
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  for (; pool->threads < threads; ++pool->threads) {
    Worker& worker = pool->workers[pool->threads - 1];
    worker.pool = pool;
    worker.index = pool->threads;
    if (pthread_create(&worker.thread, nullptr, worker_main, &worker) != 0)
      break;  // a system at its limit gives fewer threads; gradc_pool_threads tells
  }
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  return pool;
}

void gradc_pool_destroy(gradc_pool* pool) {
  if (!pool)
    return;
  for (int32_t i = 1; i < pool->threads; ++i)
    post(pool->workers[i - 1], stop);
  for (int32_t i = 1; i < pool->threads; ++i)
    pthread_join(pool->workers[i - 1].thread, nullptr);
  delete pool;
}

int32_t gradc_pool_threads(const gradc_pool* pool) {
  return pool ? pool->threads : 1;
}

void gradc_pool_parallel_for(void* pool, int64_t count, gradc_body body, void* data) {
  auto* own = static_cast<gradc_pool*>(pool);
  gradc::parallel_for(own, gradc_pool_threads(own), count, body, data);
}
