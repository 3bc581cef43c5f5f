using Microsoft.Extensions.Options;

namespace BgSync.Http.PostgreSql;

/// <summary>Each message says what to write instead.</summary>
internal sealed class PostgreSqlStoreOptionsValidator : IValidateOptions<PostgreSqlStoreOptions>
{
    private static readonly TimeSpan _shortest = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan _longest = TimeSpan.FromDays(1);

    public ValidateOptionsResult Validate(string? name, PostgreSqlStoreOptions options)
    {
        List<string> faults = [];
        if (!SchemaName.IsValid(options.Schema))
        {
            faults.Add($"PostgreSqlStoreOptions.Schema is '{options.Schema}'; write {SchemaName.Rule}.");
        }

        if (options.OwnerTimeout < _shortest || options.OwnerTimeout > _longest)
        {
            faults.Add($"PostgreSqlStoreOptions.OwnerTimeout is {options.OwnerTimeout}; write 5 seconds to 1 day.");
        }

        return faults.Count == 0 ? ValidateOptionsResult.Success : ValidateOptionsResult.Fail(faults);
    }
}
