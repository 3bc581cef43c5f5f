namespace Microsoft.Extensions.DependencyInjection;

/// <summary>The name of a queue: one that is safe in a log, a metric, a file and a database.</summary>
internal static class QueueName
{
    private const int MaxLength = 64;

    public static void Validate(string queueName)
    {
        ArgumentNullException.ThrowIfNull(queueName);
        if (queueName.Length is 0 or > MaxLength || !queueName.All(static c => char.IsAsciiLetterOrDigit(c) || c is '-' or '_' or '.'))
        {
            throw new ArgumentException(
                $"'{queueName}' is no name for a queue. Write 1 to {MaxLength} letters (a-z, A-Z), "
                + "digits, '-', '_' or '.', such as \"orders\".",
                nameof(queueName));
        }
    }
}
