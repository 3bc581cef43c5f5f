namespace BgSync.Http.Benchmarks.WayThrough;

/// <summary>A handler that does nothing: what any handler in this place costs.</summary>
internal sealed class EmptyHandler : DelegatingHandler;
