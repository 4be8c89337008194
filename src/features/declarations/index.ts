export { createDeclarationHook, type DeclarationHook } from './hook.ts'
