// Read the contract with AsyncAPI's own parser and, given a folder, make types from it: node generate.mjs DOCUMENT [FOLDER].
// Prints what the parser finds, a line each, severity first (0 is an error); exits with 1 where it cannot read it.
import fs from 'node:fs'
import { GoGenerator, JavaGenerator, PythonGenerator, TypeScriptGenerator } from '@asyncapi/modelina'
import { Parser, fromFile } from '@asyncapi/parser'

const [file, folder] = process.argv.slice(2)
const { document, diagnostics } = await fromFile(new Parser(), file).parse()
for (const found of diagnostics) console.log(found.severity, found.code, found.path.join('/'), found.message)
if (document === undefined) process.exit(1)
if (folder === undefined) process.exit(0)

const languages = {
  java: [new JavaGenerator({ collectionType: 'List' }), { packageName: 'contract' }],
  ts: [new TypeScriptGenerator({ modelType: 'interface' }), { exportType: 'named' }],
  go: [new GoGenerator(), { packageName: 'contract' }],
  py: [new PythonGenerator(), { packageName: 'contract_types' }]
}
for (const [ending, [generator, options]] of Object.entries(languages)) {
  fs.mkdirSync(`${folder}/${ending}`, { recursive: true })
  for (const model of await generator.generateCompleteModels(document, options)) {
    // A language without a class for it, such as a value that is plain bytes in Java, gives it no name.
    if (!model.modelName) continue
    // Python's types import one another as modules of the package, in small letters.
    const small = model.modelName.replace(/(?<=[a-z])(?=[A-Z])/g, '_').toLowerCase()
    fs.writeFileSync(`${folder}/${ending}/${ending === 'py' ? small : model.modelName}.${ending}`, model.result)
  }
}
