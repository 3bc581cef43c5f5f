using BgSync.Http.Benchmarks;

return await BenchmarkCommand.RunAsync(args);
