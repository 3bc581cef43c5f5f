namespace BgSync.Http.Benchmarks;

/// <summary>A part of the benchmarks, which can be run by itself.</summary>
internal interface IBenchmarkPart
{
    /// <summary>Its name on the command line.</summary>
    string Name { get; }

    /// <summary>Its name in the report.</summary>
    string Title { get; }

    Task RunAsync(Bench bench);
}
