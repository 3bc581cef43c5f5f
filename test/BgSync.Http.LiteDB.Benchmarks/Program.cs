using BgSync.Http.Benchmarks;
using BgSync.Http.LiteDB.Benchmarks;

// The same benchmarks, with the LiteDB store beside the others.
return await BenchmarkCommand.RunAsync(args, new LiteDBSubject());
