using BgSync.Http.Benchmarks.Measuring;
using Microsoft.Extensions.DependencyInjection;

namespace BgSync.Http.Benchmarks.Queues;

/// <summary>One of this project's stores.</summary>
internal abstract class StoreSubject(string name) : QueueSubject(name)
{
    public override ValueTask<IQueueSession> OpenAsync(string folder) => new(Open(folder));

    /// <summary>The store alone; it opens itself at its first call.</summary>
    public StoreSession Open(string folder) => new(Build(folder), () => SizeAsync(folder));

    /// <summary>Makes an application's container that has the store.</summary>
    public ServiceProvider Build(string folder, Action<IServiceCollection>? configure = null)
    {
        var services = new ServiceCollection();
        services.AddLogging();
        configure?.Invoke(services);
        AddTo(services, folder);
        return services.BuildServiceProvider();
    }

    /// <summary>Adds the store to the services of an application.</summary>
    protected abstract void AddTo(IServiceCollection services, string folder);

    protected virtual ValueTask<long> SizeAsync(string folder) => new(WorkFolder.SizeOf(folder));
}
