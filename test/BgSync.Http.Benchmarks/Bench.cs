using BgSync.Http.Benchmarks.Measuring;
using BgSync.Http.Benchmarks.Queues;
using BgSync.Http.Benchmarks.Reporting;

namespace BgSync.Http.Benchmarks;

/// <summary>The tools that a part measures with.</summary>
/// <param name="Effort">How much it measures.</param>
/// <param name="Section">Where it writes down what it finds.</param>
/// <param name="Folder">Where its files go.</param>
/// <param name="Subjects">The queues that are compared.</param>
internal sealed record Bench(Effort Effort, Section Section, WorkFolder Folder, IReadOnlyList<QueueSubject> Subjects);
